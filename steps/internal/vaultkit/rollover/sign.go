package rollover

import (
	"context"
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

// A role holds the parts of a role that rollovers need.
type role struct {
	issuer  string // issuer_ref
	keyType string // rsa, ec, ed25519 or any
	keyBits int
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
	r := role{vaultkit.Text(data["issuer_ref"]), vaultkit.Text(data["key_type"]), int(vaultkit.Whole(data["key_bits"]))}
	if r.issuer == "" { // before Vault 1.11
		r.issuer = "default"
	}
	return r, nil
}

// A Request is a request for a certificate that the role allows. Either authority
// can be asked to sign it.
type Request struct {
	s     *Rollover
	names []string
	body  map[string]any
}

// Request makes a request for names, of which the first is the common name.
func (s *Rollover) Request(names ...string) (*Request, error) {
	key, err := certs.NewKey(s.role.keyType, s.role.keyBits)
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

// ByOld lets the old intermediate sign. It returns the certificate with its
// chain.
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
			if vaultkit.Warned(err) { // the certificate counts
				return nil
			}
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	chain, err := pki.Signed(path, data)
	if err != nil {
		return nil, err
	}
	if leaf := chain[0]; leaf.CheckSignatureFrom(i.Certificate) != nil {
		return chain, engine.Permanent(fmt.Errorf("%s: another authority signed, %s", path, leaf.Issuer))
	}
	return chain, nil
}

// Refusal is Vault's answer to a request to sign with the old intermediate once it
// is retired (builtin/logical/pki/issuing, EnsureUsage): it lists the remaining
// uses.
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
