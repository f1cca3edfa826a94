package pki

import (
	"context"
	"crypto/x509"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// An Intermediate is an intermediate authority that is to be made.
type Intermediate struct {
	Authority
	Mount       string  // the PKI engine that it is made in
	Name        string  // of its key, numbered from the second one on
	ParentMount string  // the PKI engine that signs it
	Parent      *Issuer // and the issuer there; nil for a parent outside of this Vault

	// MaxPathLength is how many authorities may follow below it; nil for no
	// limit of its own.
	MaxPathLength *int

	// Allow lists warnings of Vault that are expected. NoAddresses is needed if
	// Mount has no URLs.
	Allow []vaultkit.Allow
}

// Make makes the authority among the keys and issuers of its mount: a key inside
// Vault, a request for it, the parent's signature, and the import of certificate
// and chain. It returns the id of the new issuer, which has no name yet. It may
// stop anywhere: a key without a certificate that it left behind is used the
// next time, and a certificate without a name is found among the issuers.
func (i *Intermediate) Make(ctx context.Context, c *vaultkit.Client, keys []Key, issuers []*Issuer) (id string, err error) {
	keyID, csr, err := i.Request(ctx, c, keys, issuers)
	if err != nil {
		return "", err
	}
	cert, err := i.sign(ctx, c, csr)
	if err != nil {
		return "", err
	}
	return i.Import(ctx, c, keyID, append([]*x509.Certificate{cert}, i.Above()...))
}

// Above is the chain over the authority: the parent and its own chain.
func (i *Intermediate) Above() []*x509.Certificate {
	if len(i.Parent.Chain) > 0 {
		return i.Parent.Chain
	}
	return []*x509.Certificate{i.Parent.Certificate}
}

// Request returns a signing request in PEM form with the id of its key, for the first key
// that is there without a certificate and fits, or for a new one. The key stays in Vault.
func (i *Intermediate) Request(ctx context.Context, c *vaultkit.Client, keys []Key, issuers []*Issuer) (keyID, csr string, err error) {
	for _, k := range i.Waiting(keys, issuers) {
		body := i.requestParameters()
		body["key_ref"] = k.ID
		keyID, csr, err = i.generate(ctx, c, "existing", body)
		if err != nil {
			return "", "", err
		}
		if r, err := certs.ParseRequest(csr); err == nil && i.Fits(r) {
			return keyID, csr, nil
		}
	}
	body := i.requestParameters()
	body["key_name"] = i.freeKeyName(keys)
	body["key_type"] = i.KeyType
	body["key_bits"] = i.KeyBits
	return i.generate(ctx, c, "internal", body)
}

// Waiting returns the keys that wait for a certificate of the authority: those without
// one that have its name, or none.
func (i *Intermediate) Waiting(keys []Key, issuers []*Issuer) []Key {
	return slices.DeleteFunc(Orphans(keys, issuers), func(k Key) bool { return k.Name != "" && !i.ours(k.Name) })
}

// requestParameters are those of the signing request. Signers outside of Vault copy the
// basic constraints from it.
func (i *Intermediate) requestParameters() map[string]any {
	body := i.NameParameters()
	if i.Parent == nil {
		body["add_basic_constraints"] = true
	}
	return body
}

func (i *Intermediate) generate(ctx context.Context, c *vaultkit.Client, how string, body map[string]any) (keyID, csr string, err error) {
	answer, err := c.Write(ctx, i.Mount+"/intermediate/generate/"+how, body, i.Allow...)
	if err != nil {
		return "", "", err
	}
	return vaultkit.Text(answer["key_id"]), vaultkit.Text(answer["csr"]), nil
}

var keyNumber = regexp.MustCompile(`^-[0-9]+$`)

// ours reports whether a key's name is one that freeKeyName gives.
func (i *Intermediate) ours(key string) bool {
	rest, ok := strings.CutPrefix(key, i.Name)
	return ok && (rest == "" || keyNumber.MatchString(rest))
}

// freeKeyName is the authority's name, numbered from the second key on.
func (i *Intermediate) freeKeyName(keys []Key) string {
	name := i.Name
	for n := 2; slices.ContainsFunc(keys, func(k Key) bool { return k.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", i.Name, n)
	}
	return name
}

// Fits reports whether the key of a request is of the kind that is wanted.
func (i *Intermediate) Fits(r *x509.CertificateRequest) bool {
	kind, bits := PublicKey(r.PublicKey)
	return kind == i.KeyType && bits == i.Bits()
}

// sign lets the parent sign the request.
func (i *Intermediate) sign(ctx context.Context, c *vaultkit.Client, csr string) (*x509.Certificate, error) {
	body := i.NameParameters()
	body["csr"] = csr
	body["ttl"] = i.TTL.Seconds()
	// The parent's mount may have no URLs: another step decides that.
	allow := append(slices.Clone(i.Allow), NoAddresses)
	if i.MaxPathLength != nil {
		body["max_path_length"] = *i.MaxPathLength
		if *i.MaxPathLength == 0 {
			allow = append(allow, "Max path length of the signed certificate is zero")
		}
	}
	path := i.ParentMount + "/issuer/" + i.Parent.ID + "/sign-intermediate"
	answer, err := c.Write(ctx, path, body, allow...)
	if err != nil {
		return nil, err
	}
	cert, err := certs.ParseOne(vaultkit.Text(answer["certificate"]))
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("%s: %w", path, err))
	}
	if err := cert.CheckSignatureFrom(i.Parent.Certificate); err != nil {
		return nil, engine.Permanent(fmt.Errorf("%s: the signed certificate does not lead to the parent: %w", path, err))
	}
	return cert, nil
}

// Import imports the certificate for a key with its chain, the certificate first, and
// returns the issuer's id. Called again, it finds the imported issuer.
func (i *Intermediate) Import(ctx context.Context, c *vaultkit.Client, keyID string, chain []*x509.Certificate) (string, error) {
	path := i.Mount + "/intermediate/set-signed"
	answer, err := c.Write(ctx, path, map[string]any{"certificate": certs.Encode(chain...)}, i.Allow...)
	if err != nil {
		return "", err
	}
	mapping, _ := answer["mapping"].(map[string]any)
	for id, key := range mapping {
		if vaultkit.Text(key) == keyID {
			return id, nil
		}
	}
	return "", engine.Permanent(fmt.Errorf("%s: the imported certificate did not find its key %s", path, keyID))
}
