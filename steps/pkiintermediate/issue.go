package pkiintermediate

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// issue makes an intermediate and gives it the name. It may stop anywhere: what
// it leaves behind is a key without a certificate or a certificate without its
// name, and the next look finds both.
func (a *authority) issue(ctx context.Context) error {
	if a.parent == nil {
		return a.noParent()
	}
	keyID, csr, err := a.request(ctx)
	if err != nil {
		return err
	}
	cert, err := a.sign(ctx, csr)
	if err != nil {
		return err
	}
	id, err := a.bring(ctx, keyID, cert)
	if err != nil {
		return err
	}
	if a.named != nil {
		retire := pki.Rename(a.client, a.Mount, a.named, a.retiredName(a.named), "")
		if err := retire.Apply(ctx); err != nil {
			return err
		}
	}
	return pki.Rename(a.client, a.Mount, &pki.Issuer{ID: id}, a.name, "").Apply(ctx)
}

// request returns a signing request in PEM form, for a key that is there
// without a certificate or for a new one. The key stays in Vault.
func (a *authority) request(ctx context.Context) (keyID, csr string, err error) {
	for _, k := range pki.Orphans(a.keys, a.issuers) {
		if k.Name != "" && !a.ours(k.Name) {
			continue
		}
		body := a.authority().NameParameters()
		body["key_ref"] = k.ID
		keyID, csr, err = a.generate(ctx, "existing", body)
		if err != nil {
			return "", "", err
		}
		if a.fits(csr) {
			return keyID, csr, nil
		}
	}
	body := a.authority().NameParameters()
	body["key_name"] = a.freeKeyName()
	body["key_type"] = a.KeyType
	body["key_bits"] = a.KeyBits
	return a.generate(ctx, "internal", body)
}

func (a *authority) generate(ctx context.Context, how string, body map[string]any) (keyID, csr string, err error) {
	allow := vaultkit.AllowAll(a.AllowWarnings)
	if a.URLs.IsZero() {
		allow = append(allow, pki.NoAddresses)
	}
	answer, err := a.client.Write(ctx, a.Mount+"/intermediate/generate/"+how, body, allow...)
	if err != nil {
		return "", "", err
	}
	return vaultkit.Text(answer["key_id"]), vaultkit.Text(answer["csr"]), nil
}

var keyNumber = regexp.MustCompile(`^-[0-9]+$`)

// ours reports whether a key's name is one that freeKeyName gives.
func (a *authority) ours(key string) bool {
	return key == a.name || len(key) > len(a.name) && key[:len(a.name)] == a.name && keyNumber.MatchString(key[len(a.name):])
}

// freeKeyName is the intermediate's name, numbered from the second key on.
func (a *authority) freeKeyName() string {
	name := a.name
	for n := 2; slices.ContainsFunc(a.keys, func(k pki.Key) bool { return k.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", a.name, n)
	}
	return name
}

// fits reports whether the key of a request is of the kind that the plan wants.
func (a *authority) fits(csr string) bool {
	block, _ := pem.Decode([]byte(csr))
	if block == nil {
		return false
	}
	r, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return false
	}
	kind, bits := pki.PublicKey(r.PublicKey)
	return kind == a.KeyType && bits == a.authority().Bits()
}

// sign lets the parent sign the request.
func (a *authority) sign(ctx context.Context, csr string) (*x509.Certificate, error) {
	body := a.authority().NameParameters()
	body["csr"] = csr
	body["ttl"] = a.TTL.Seconds()
	// The parent's mount may have no URLs; that is its own step's to say.
	allow := append(vaultkit.AllowAll(a.AllowWarnings), pki.NoAddresses)
	if a.MaxPathLength != nil {
		body["max_path_length"] = *a.MaxPathLength
		if *a.MaxPathLength == 0 {
			allow = append(allow, "Max path length of the signed certificate is zero")
		}
	}
	path := a.Parent.Mount + "/issuer/" + a.parent.ID + "/sign-intermediate"
	answer, err := a.client.Write(ctx, path, body, allow...)
	if err != nil {
		return nil, err
	}
	cert, err := pki.ParseOne(vaultkit.Text(answer["certificate"]))
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("%s: %w", path, err))
	}
	if err := cert.CheckSignatureFrom(a.parent.Certificate); err != nil {
		return nil, engine.Permanent(fmt.Errorf("%s: what was signed does not lead to the parent: %w", path, err))
	}
	return cert, nil
}

// bring imports the certificate with its chain and returns the issuer's id.
func (a *authority) bring(ctx context.Context, keyID string, cert *x509.Certificate) (string, error) {
	bundle := pki.Encode(append([]*x509.Certificate{cert}, a.above()...)...)
	path := a.Mount + "/intermediate/set-signed"
	allow := vaultkit.AllowAll(a.AllowWarnings)
	if a.URLs.IsZero() {
		allow = append(allow, pki.NoAddresses)
	}
	answer, err := a.client.Write(ctx, path, map[string]any{"certificate": bundle}, allow...)
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
