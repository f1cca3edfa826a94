package rollover

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// trialTTL is the life of the certificates that show who can sign. Their keys
// are thrown away.
const trialTTL = time.Minute

// A role is what of a role matters here.
type role struct {
	issuer  string // issuer_ref
	keyType string // rsa, ec, ed25519 or any
	keyBits int64
}

func readRole(ctx context.Context, c *vaultkit.Client, mount, name string) (role, error) {
	path := mount + "/roles/" + name
	data, err := c.Read(ctx, path)
	if err == nil && data == nil {
		err = engine.WithHint(engine.Permanent(fmt.Errorf("%s does not exist", path)), "name a role of the pkiIntermediate step")
	}
	if err != nil {
		return role{}, err
	}
	r := role{vaultkit.Text(data["issuer_ref"]), vaultkit.Text(data["key_type"]), vaultkit.Whole(data["key_bits"])}
	if r.issuer == "" { // before Vault 1.11
		r.issuer = "default"
	}
	return r, nil
}

// newKey makes a key that the role accepts.
func (r role) newKey() (crypto.Signer, error) {
	if r.keyType == "rsa" {
		return rsa.GenerateKey(rand.Reader, max(int(r.keyBits), 2048))
	}
	switch r.keyBits {
	case 384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case 521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// A Request is a request for a certificate that the role allows, to be put to
// one authority or the other: all that differs is who signs.
type Request struct {
	s     *Rollover
	names []string
	body  map[string]any
}

// Request makes a request for names, of which the first is the common name.
func (s *Rollover) Request(names ...string) (*Request, error) {
	key, err := s.role.newKey()
	if err != nil {
		return nil, err
	}
	csr, err := certs.NewRequest(key, names...)
	if err != nil {
		return nil, err
	}
	return &Request{s, names, map[string]any{
		"csr":         csr,
		"common_name": names[0], "alt_names": strings.Join(names, ","), "exclude_cn_from_sans": true,
		"ttl": trialTTL.String(),
	}}, nil
}

// ByOld lets the old intermediate sign. It returns the certificate and what is
// above it.
func (r *Request) ByOld(ctx context.Context) ([]*x509.Certificate, error) { return r.by(ctx, r.s.old) }

// ByNext lets the new one sign.
func (r *Request) ByNext(ctx context.Context) ([]*x509.Certificate, error) {
	return r.by(ctx, r.s.next)
}

func (r *Request) path(i *pki.Issuer) string {
	return r.s.place.Mount + "/issuer/" + i.ID + "/sign/" + r.s.place.Role
}

func (r *Request) by(ctx context.Context, i *pki.Issuer) ([]*x509.Certificate, error) {
	path, name := r.path(i), "(old)"
	if i == r.s.next {
		name = "(new)"
	}
	var data map[string]any
	err := r.s.change(ctx, engine.Edit{
		Path: r.s.at(name) + "/sign/" + r.s.place.Role,
		Want: fmt.Sprintf("a certificate for %s that lives for %s", strings.Join(r.names, ", "), engine.Duration(trialTTL)),
		Apply: func(ctx context.Context) (err error) {
			data, err = r.s.client.Write(ctx, path, r.body)
			var warned *vaultkit.WarningError
			if errors.As(err, &warned) { // what came back says what counts
				return nil
			}
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	leaf, err := certs.ParseOne(vaultkit.Text(data["certificate"]))
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("%s: %w", path, err))
	}
	chain := []*x509.Certificate{leaf}
	for _, text := range vaultkit.Strings(data["ca_chain"]) {
		c, err := certs.ParseOne(text)
		if err != nil {
			return nil, engine.Permanent(fmt.Errorf("%s: ca_chain: %w", path, err))
		}
		chain = append(chain, c)
	}
	if err := leaf.CheckSignatureFrom(i.Certificate); err != nil {
		return chain, engine.Permanent(fmt.Errorf("%s: somebody else signed, %s: %w", path, leaf.Issuer, err))
	}
	return chain, nil
}

// Refusal is how Vault refuses to sign with the old intermediate once it is
// retired (builtin/logical/pki/issuing, EnsureUsage): it lists what is left.
func (s *Rollover) Refusal() evidence.Refusal {
	left := s.old.Issue(s.client, s.place.Mount, false).Want.([]string)
	return evidence.Refusal{Status: http.StatusInternalServerError, Text: "but only had usage " + strings.Join(left, ",")}
}

// Refused puts the request to the old intermediate, which must refuse it, and
// returns its answer. An error with ErrSigned means that it did not.
func (r *Request) Refused(ctx context.Context) (status int, answer string, err error) {
	_, err = r.ByOld(ctx)
	var refusal *vaultkit.Error
	switch {
	case err == nil:
		return http.StatusOK, "", engine.Permanent(fmt.Errorf("%s: %w", r.path(r.s.old), ErrSigned))
	case errors.As(err, &refusal):
		return refusal.Status, strings.Join(refusal.Messages, "; "), nil
	}
	return 0, "", err
}
