package pkiintermediate

import (
	"context"
	"crypto/x509"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// A signing is the progress of the signing by an external parent.
type signing struct {
	root *x509.Certificate

	seen     string                   // the content of the request file; "" for none
	answered *pki.Issuer              // has the key of the request in the file: this one is done
	key      pki.Key                  // that waits for the certificate, if there is a request for it
	request  *x509.CertificateRequest // for that key; nil if one must be written
	renamed  bool                     // the request has other names than the plan

	chain []*x509.Certificate // the signed certificate and all over it; nil until it is there
}

// lookSigning reads the request and the certificate, as far as they are there.
func (a *authority) lookSigning(ctx context.Context) error {
	file := a.Parent.External.CSRFile
	text, err := pki.ReadRequest(file)
	if text == "" || err != nil {
		return err
	}
	s := a.signing
	s.seen = text
	request, err := certs.ParseRequest(text)
	if err == nil {
		err = request.CheckSignature()
	}
	if err != nil {
		return vaultkit.Refusal("move it away: ztplan overwrites no file that is not its own", "%s: %v", file.Name, err)
	}
	id := certs.SubjectKeyID(request.RawSubjectPublicKeyInfo)
	if s.answered = a.holder(id); s.answered != nil {
		return nil
	}
	for _, k := range a.intermediate().Waiting(a.keys, a.issuers) {
		has, err := pki.SubjectKeyID(ctx, a.client, a.Mount, k)
		if err != nil {
			return err
		}
		if has == id {
			s.key, s.request = k, request
		}
	}
	switch {
	case s.request == nil:
		return vaultkit.Refusal("move it away if nobody is about to sign it, or name another csrFile",
			"%s: holds the request of %s, whose key is not in %s: it is not overwritten", file.Name, request.Subject, a.Mount)
	case !a.intermediate().Fits(request):
		kind, bits := pki.PublicKey(request.PublicKey)
		return vaultkit.Refusal("move it away if nobody is about to sign it: the next run makes another key",
			"%s: holds the request of a key of type %s with %d bits, and the plan asks for %s with %d", file.Name, kind, bits, a.KeyType, a.Bits())
	}
	s.renamed = len(a.misnamed(&x509.Certificate{Subject: request.Subject, PublicKey: request.PublicKey})) > 0
	if s.renamed {
		return nil
	}
	return a.lookSigned()
}

// holder returns the issuer in the mount that has the key with an identifier, or nil.
func (a *authority) holder(id string) *pki.Issuer {
	n := slices.IndexFunc(a.issuers, func(i *pki.Issuer) bool {
		return i.KeyID != "" && certs.SubjectKeyID(i.Certificate.RawSubjectPublicKeyInfo) == id
	})
	if n < 0 {
		return nil
	}
	return a.issuers[n]
}

// misnamed returns the differences between names and key of c and the plan. The external
// parent decides about the lifetime.
func (a *authority) misnamed(c *x509.Certificate) []pki.Difference {
	return slices.DeleteFunc(a.Compare(c, c.NotAfter), func(d pki.Difference) bool { return d.Field == "ttl" })
}

// awaited reports whether the certificate of an external parent is still to come.
func (a *authority) awaited() bool {
	return a.signing != nil && a.current == nil && a.signing.chain == nil
}

// serving returns the intermediate whose outputs hold until the next edit, or nil.
func (a *authority) serving() *pki.Issuer {
	if a.awaited() && a.meanwhile() {
		return a.named
	}
	return a.current
}

// meanwhile reports whether the old intermediate serves until the new one is signed: its
// only fault is that it ends soon.
func (a *authority) meanwhile() bool {
	return a.named != nil && a.named.Issues() && a.named.Default && a.now.Before(a.named.Certificate.NotAfter) &&
		!slices.ContainsFunc(a.failings(a.named), func(d pki.Difference) bool { return d.Field != "not_after" })
}

// signingEdits are the edits to an intermediate at path that an external parent signs: the
// request, and the wait for its certificate or its import.
func (a *authority) signingEdits(path string) []engine.Edit {
	s, e := a.signing, a.Parent.External
	var edits []engine.Edit
	if s.request == nil || s.renamed {
		want := a.Want()
		delete(want, "ttl")
		want["file"] = e.CSRFile.Name
		request := engine.Edit{Path: path + "/csr", Want: want, Note: "the key is made inside Vault, and stays there", Apply: a.writeRequest}
		switch {
		case s.answered != nil:
			request.Have = "the request of " + s.answered.Label() + ", which is signed"
		case s.renamed:
			request.Have = "the request of " + s.request.Subject.String()
			request.Note = "for the same key"
		}
		edits = append(edits, request)
	}
	differences := []engine.Edit{{Path: path, Want: a.signedWant()}}
	if a.named != nil {
		differences = nil
		for _, d := range a.failings(a.named) {
			differences = append(differences, engine.Edit{Path: path + "/" + d.Field, Have: d.Have, Want: d.Want})
		}
	}
	bring := vaultkit.Once(a.importSigned)
	for _, d := range differences {
		if s.chain != nil {
			d.Note = "imports " + certs.Subject(s.chain[0]) + ", SHA-256 " + certs.Fingerprint(s.chain[0])
			d.Apply = bring
		} else {
			d.Awaits, d.Hint, d.Meanwhile = "signature", e.todo(), a.meanwhile()
		}
		edits = append(edits, d)
	}
	return edits
}

// signedWant describes the certificate that the parent is to sign.
func (a *authority) signedWant() map[string]any {
	want := a.Want()
	delete(want, "ttl")
	want["signed_by"] = a.signer()
	if n := a.MaxPathLength; n != nil {
		want["max_path_length"] = *n
	}
	return want
}

// writeRequest writes the request for the key that waits, or for a new one. It may stop
// anywhere: the next run goes on with the key.
func (a *authority) writeRequest(ctx context.Context) error {
	first := a.signing.key.ID
	keys := slices.Clone(a.keys)
	slices.SortStableFunc(keys, func(x, y pki.Key) int {
		switch {
		case x.ID == first && y.ID != first:
			return -1
		case y.ID == first && x.ID != first:
			return 1
		}
		return 0
	})
	_, csr, err := a.intermediate().Request(ctx, a.client, keys, a.issuers)
	if err != nil {
		return err
	}
	return pki.WriteRequest(ctx, a.Parent.External.CSRFile, a.signing.seen, csr)
}

// importSigned imports the signed certificate with its chain and gives it the name.
func (a *authority) importSigned(ctx context.Context) error {
	id, err := a.intermediate().Import(ctx, a.client, a.signing.key.ID, a.signing.chain)
	if err != nil {
		return err
	}
	return a.giveName(ctx, id)
}
