package pki

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// An Issuer is a certificate in a mount that can sign, or that belongs to the
// chain of one that can.
type Issuer struct {
	ID      string
	Name    string // empty when it has none
	KeyID   string // empty when its key is not in the mount
	Default bool   // the mount's default issuer
	Revoked bool
	Usage   []string // its allowed uses, as Vault names them: "crl-signing"

	PEM         string
	Certificate *x509.Certificate
	// Chain is the chain that Vault hands out with certificates of the issuer, the
	// issuer first.
	Chain []*x509.Certificate
}

// Ref is the issuer's name, or its id.
func (i *Issuer) Ref() string {
	return cmp.Or(i.Name, i.ID)
}

// Label identifies the issuer in a message.
func (i *Issuer) Label() string {
	return fmt.Sprintf("%s (%s, id %s)", cmp.Or(i.Name, "without a name"), i.Certificate.Subject.CommonName, i.ID)
}

// issuing is the usage without which an issuer signs nothing
// (developer.hashicorp.com/vault/api-docs/secret/pki#update-issuer).
const issuing = "issuing-certificates"

// Issues reports whether the issuer may sign certificates.
func (i *Issuer) Issues() bool { return slices.Contains(i.Usage, issuing) }

func usages(text string) []string {
	return slices.Sorted(slices.Values(strings.FieldsFunc(text, func(r rune) bool { return r == ',' })))
}

// Issue returns the edit that lets an issuer sign certificates, or forbids it.
// One that may not keeps its certificate in chains and signs revocation lists.
func (i *Issuer) Issue(c *vaultkit.Client, mount string, may bool) engine.Edit {
	want := slices.DeleteFunc(slices.Clone(i.Usage), func(u string) bool { return u == issuing })
	if may {
		want = slices.Sorted(slices.Values(append(want, issuing)))
	}
	path := mount + "/issuer/" + i.ID
	return engine.Edit{
		Path: mount + "/issuer/" + i.Ref() + "/usage", Have: i.Usage, Want: want,
		Apply: func(ctx context.Context) error {
			return c.Patch(ctx, path, map[string]any{"usage": strings.Join(want, ",")})
		},
	}
}

// SelfSigned reports whether the issuer is a root.
func (i *Issuer) SelfSigned() bool { return certs.SelfSigned(i.Certificate) }

// Issuers returns the issuers of a mount, in Vault's order.
func Issuers(ctx context.Context, c *vaultkit.Client, mount string) ([]*Issuer, error) {
	ids, info, err := c.List(ctx, mount+"/issuers")
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	issuers := make([]*Issuer, len(ids))
	errs := make([]error, len(ids))
	var wg engine.Group
	for i, id := range ids {
		wg.Go(func() { issuers[i], errs[i] = ReadIssuer(ctx, c, mount, id) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, err
		}
		if issuers[i] != nil {
			issuers[i].Default = vaultkit.Truth(info[ids[i]]["is_default"])
		}
	}
	// Issuers that were deleted since they were listed are nil.
	return slices.DeleteFunc(issuers, func(i *Issuer) bool { return i == nil }), nil
}

// ReadIssuer returns the issuer that ref (an id, a name or "default") means, or
// nil if there is none. Its Default is not filled in.
func ReadIssuer(ctx context.Context, c *vaultkit.Client, mount, ref string) (*Issuer, error) {
	path := mount + "/issuer/" + ref
	data, err := c.Read(ctx, path)
	switch {
	case vaultkit.Refused(err, "no default issuer currently configured"), vaultkit.Refused(err, "unable to find PKI issuer for reference"):
		return nil, nil
	case err != nil:
		return nil, err
	case data == nil:
		return nil, nil
	}
	i := &Issuer{
		ID:      vaultkit.Text(data["issuer_id"]),
		Name:    vaultkit.Text(data["issuer_name"]),
		KeyID:   vaultkit.Text(data["key_id"]),
		Revoked: vaultkit.Truth(data["revoked"]),
		Usage:   usages(vaultkit.Text(data["usage"])),
		PEM:     strings.TrimSpace(vaultkit.Text(data["certificate"])) + "\n",
	}
	if i.Certificate, err = certs.ParseOne(i.PEM); err != nil {
		return nil, engine.Permanent(fmt.Errorf("%s: %w", path, err))
	}
	i.Chain, err = parseChain(path, data)
	return i, err
}

// Signed returns the certificate in the answer to a request at path to sign, with
// the chain above it.
func Signed(path string, answer map[string]any) ([]*x509.Certificate, error) {
	leaf, err := certs.ParseOne(vaultkit.Text(answer["certificate"]))
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("%s: %w", path, err))
	}
	above, err := parseChain(path, answer)
	return append([]*x509.Certificate{leaf}, above...), err
}

func parseChain(path string, answer map[string]any) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for _, text := range vaultkit.Strings(answer["ca_chain"]) {
		link, err := certs.ParseOne(text)
		if err != nil {
			return nil, engine.Permanent(fmt.Errorf("%s: ca_chain: %w", path, err))
		}
		chain = append(chain, link)
	}
	return chain, nil
}

// find returns the first issuer that matches, or nil.
func find(issuers []*Issuer, matches func(*Issuer) bool) *Issuer {
	if n := slices.IndexFunc(issuers, matches); n >= 0 {
		return issuers[n]
	}
	return nil
}

// DefaultOf returns the default issuer among the issuers of a mount, or nil.
func DefaultOf(issuers []*Issuer) *Issuer {
	return find(issuers, func(i *Issuer) bool { return i.Default })
}

// Named returns the issuer with a name among the issuers of a mount, or nil.
func Named(issuers []*Issuer, name string) *Issuer {
	return find(issuers, func(i *Issuer) bool { return i.Name == name })
}

// Keyless returns an authority with a common name whose key is not in the mount,
// or nil. It signs nothing until its key is imported.
func Keyless(issuers []*Issuer, commonName string) *Issuer {
	return find(issuers, func(i *Issuer) bool {
		return i.KeyID == "" && i.Certificate.IsCA && i.Certificate.Subject.CommonName == commonName
	})
}

// ImportKey is the hint how to import the key of a certificate in a mount: Vault
// finds the certificate of an imported key by itself
// (developer.hashicorp.com/vault/api-docs/secret/pki#import-key).
func ImportKey(mount string) string {
	return fmt.Sprintf("import its key, which Vault then finds the certificate of: vault write %s/keys/import pem_bundle=@key.pem "+
		"(or certificate and key together: vault write %s/issuers/import/bundle pem_bundle=@bundle.pem)", mount, mount)
}

// A Key is a private key in a mount.
type Key struct {
	ID   string
	Name string
}

// Keys returns the keys of a mount, in Vault's order.
func Keys(ctx context.Context, c *vaultkit.Client, mount string) ([]Key, error) {
	ids, info, err := c.List(ctx, mount+"/keys")
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(ids))
	for i, id := range ids {
		keys[i] = Key{ID: id, Name: vaultkit.Text(info[id]["key_name"])}
	}
	return keys, nil
}

// SubjectKeyID returns the identifier of a key in a mount, as of its public key:
// [certs.SubjectKeyID].
func SubjectKeyID(ctx context.Context, c *vaultkit.Client, mount string, k Key) (string, error) {
	path := mount + "/key/" + k.ID
	data, err := c.Read(ctx, path)
	if err != nil {
		return "", err
	}
	id := vaultkit.Text(data["subject_key_id"])
	if id == "" {
		return "", vaultkit.Refusal("use Vault 1.14 or later, or OpenBao", "%s: Vault does not say whose key it is (subject_key_id)", path)
	}
	return certs.NormalHex(id), nil
}

// Orphans returns the keys that no issuer uses.
func Orphans(keys []Key, issuers []*Issuer) []Key {
	var out []Key
	for _, k := range keys {
		if !slices.ContainsFunc(issuers, func(i *Issuer) bool { return i.KeyID == k.ID }) {
			out = append(out, k)
		}
	}
	return out
}
