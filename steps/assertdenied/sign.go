package assertdenied

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

const (
	// controlTTL is the life of the legitimate certificate.
	controlTTL = engine.Duration(time.Minute)
	// slack is the most that rounding to seconds adds to a life.
	slack = 2 * time.Second
	// mostBackdated is the most by which a certificate may be valid before it was
	// asked for; Vault's default is 30 seconds.
	mostBackdated = time.Hour
	// worthRevoking is the life from which on a certificate is revoked.
	worthRevoking = 5 * time.Minute
)

// A control is the legitimate certificate.
type control struct {
	key       crypto.Signer
	text      string
	backdated time.Duration // by how much Vault lets certificates begin earlier
}

// signControl has the legitimate certificate signed.
func (v *attacker) signControl(ctx context.Context) error {
	g := v.spec.Sign
	v.env.Statusf("having %s sign for %s", g.Path, g.Name)
	what := fmt.Sprintf("%s signs a certificate for %s that lives for %s", g.Path, g.Name, controlTTL)
	key, err := certs.NewKey(cmp.Or(g.KeyType, "rsa"), 0)
	if err != nil {
		return err
	}
	v.signed = &control{key: key}
	chain, err := v.sign(ctx, "(control)", []string{g.Name}, map[string]any{"ttl": controlTTL.String()})
	if vaultkit.Refused(err, "role requires keys of type") {
		err = engine.WithHint(err, "set sign.keyType to what the role's key_type says")
	}
	if err != nil {
		return noControl(what, err)
	}
	defer v.revoke(ctx, chain[0])
	if v.signed.backdated, err = backdated(chain[0], g.Name); err != nil {
		return noControl(what, engine.Permanent(err))
	}
	v.signed.text = fmt.Sprintf("a certificate for %s with serial %s", g.Name, certs.Serial(chain[0]))
	v.granted(what, v.signed.text)
	return nil
}

// backdated returns by how much the control begins before it was asked for. A
// control that is not as asked cannot be compared with.
func backdated(c *x509.Certificate, name string) (time.Duration, error) {
	early := lifetime(c) - controlTTL.Std()
	switch {
	case !slices.Contains(c.DNSNames, name):
		return 0, fmt.Errorf("the certificate is for %s", strings.Join(certs.Names(c), ", "))
	case early < -slack || early > mostBackdated:
		return 0, fmt.Errorf("the certificate lives for %s", engine.Duration(lifetime(c)))
	}
	return max(early, 0), nil
}

func lifetime(c *x509.Certificate) time.Duration { return c.NotAfter.Sub(c.NotBefore) }

// sign has a certificate signed as cert-manager does, with the names both in the
// request and in the CSR. It returns the certificate with its chain up to the root.
// Warnings of Vault are logged: only the certificate counts. Vault stores the
// certificates that it signs, so each request is an edit, named after purpose.
func (v *attacker) sign(ctx context.Context, purpose string, names []string, with map[string]any) ([]*x509.Certificate, error) {
	request, err := certs.NewRequest(v.signed.key, names...)
	if err != nil {
		return nil, err
	}
	body := map[string]any{
		"csr":         request,
		"common_name": names[0], "alt_names": strings.Join(names, ","), "exclude_cn_from_sans": "true",
	}
	maps.Copy(body, with)
	want := map[string]any{"names": names}
	maps.Copy(want, with)
	var data map[string]any
	err = v.env.Apply(ctx, engine.Edit{Path: v.spec.Sign.Path + "/" + purpose, Want: want, Apply: func(ctx context.Context) (err error) {
		data, err = v.us.Write(ctx, v.spec.Sign.Path, body)
		if vaultkit.Warned(err) {
			v.env.Logf("%v", err)
			return nil
		}
		return err
	}})
	if err != nil {
		return nil, err
	}
	return pki.Signed(v.spec.Sign.Path, data)
}

// signBrief has the client certificate signed that is to expire.
func (v *attacker) signBrief(ctx context.Context) (*brief, error) {
	g := v.spec.Sign
	chain, err := v.sign(ctx, "(expires)", []string{g.Name}, map[string]any{"ttl": briefTTL.String()})
	if err != nil {
		return nil, noControl(fmt.Sprintf("%s signs a client certificate for %s that lives for %s", g.Path, g.Name, briefTTL), err)
	}
	if certs.SelfSigned(chain[len(chain)-1]) {
		chain = chain[:len(chain)-1]
	}
	return &brief{credential: tlskit.NewCredential(chain, v.signed.key)}, nil
}

// trySign asks for a certificate that must not be given.
func (v *attacker) trySign(ctx context.Context, a Attempt) error {
	g := v.spec.Sign
	names, with := []string{g.Name}, map[string]any{"ttl": controlTTL.String()}
	expected, most := a.expect(wrongName), time.Duration(0)
	switch s := a.Sign; {
	case len(s.Names) > 0:
		names = s.Names
	case s.TTL != 0:
		with["ttl"] = s.TTL.String()
		expected, most = a.expect(), g.MaxTTL.Std()
	default:
		delete(with, "ttl")
		with["not_after"] = v.env.Now().Add(s.NotAfter.Std()).UTC().Format(time.RFC3339)
		expected, most = a.expect(noPermission), g.MaxTTL.Std()
	}
	d := v.try(a, "Vault, "+g.Path, fmt.Sprintf("the token was given %s", v.signed.text))
	d.advice = g.advice(*a.Sign)
	chain, err := v.sign(ctx, a.Name, names, with)
	if err == nil {
		defer v.revoke(ctx, chain[0])
		d.judgeSigned(chain, expected, most, v.signed.backdated)
		v.done(d)
		return nil
	}
	said, err := refusal(err)
	if err != nil {
		return err
	}
	d.judge(said, expected)
	if most > 0 {
		d.want = wantLife(d.want, most)
	}
	if d.record.Refused && said.status == http.StatusForbidden {
		if err := v.alive(ctx, g.Path); err != nil {
			return err
		}
	}
	v.done(d)
	return nil
}

// judgeSigned judges a certificate that was signed in spite of an attempt. One
// that lives no longer than the maximum is as good as a refusal of a longer
// life; there is none that is as good as the refusal of a name.
func (d *verdict) judgeSigned(chain []*x509.Certificate, expected []evidence.Refusal, most, backdated time.Duration) {
	c, record := chain[0], tlskit.Record(chain)
	d.record.Certificate, d.record.Status, d.record.Expected = &record, http.StatusOK, expected
	d.record.Answer = fmt.Sprintf("a certificate for %s that lives for %s, serial %s",
		strings.Join(certs.Names(c), ", "), engine.Duration(lifetime(c)-backdated), certs.Serial(c))
	d.want, d.have = wanted(expected), "granted: "+d.record.Answer
	if most == 0 {
		return
	}
	d.want = wantLife(d.want, most)
	d.record.MaxSeconds = (most + backdated + slack).Seconds()
	if lifetime(c).Seconds() <= d.record.MaxSeconds {
		d.record.Refused = true
		d.record.Answer = "shortened: " + d.record.Answer
		d.have = d.record.Answer
	}
}

func wantLife(refusal string, most time.Duration) string {
	life := fmt.Sprintf("a life of at most %s", engine.Duration(most))
	if refusal == "" {
		return life
	}
	return refusal + ", or " + life
}

// advice is the hint when a certificate was issued.
func (g Sign) advice(a SignAttempt) string {
	mount, role := g.split()
	switch {
	case len(a.Names) > 0:
		return fmt.Sprintf("set allowed_domains of %s/roles/%s, and allow_any_name to false", mount, role)
	case a.TTL != 0:
		return fmt.Sprintf("set max_ttl of %s/roles/%s to %s", mount, role, g.MaxTTL)
	}
	return fmt.Sprintf(`this Vault does not compare a date with max_ttl (hashicorp/vault#29928): upgrade to 1.19.19, 1.20.13, 1.21.8 or 2.0.3, or deny the parameter in the policy for %s: denied_parameters = { "not_after" = [] }`, g.Path)
}

// revoke revokes a certificate that lives on, if the plan has a token that allows
// it. Its key is gone in any case.
func (v *attacker) revoke(ctx context.Context, c *x509.Certificate) {
	if c.NotAfter.Sub(v.env.Now()) < worthRevoking {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	err := errors.New("no vault.token is given")
	if !v.spec.Vault.Token.IsZero() {
		e := v.spec.revocation()
		e.Path, e.Have, e.Want, e.Note = e.Path+"/"+certs.Serial(c), "valid until "+certs.Stamp(c.NotAfter), "revoked", ""
		e.Apply = func(ctx context.Context) error {
			admin, err := login.Connect(ctx, v.env, v.spec.Vault)
			if err != nil {
				return err
			}
			mount, _ := v.spec.Sign.split()
			err = admin.Put(ctx, mount+"/revoke", map[string]any{"certificate": certs.Encode(c)})
			if vaultkit.Warned(err) {
				return nil
			}
			return err
		}
		err = v.env.Apply(ctx, e)
	}
	if err != nil {
		v.env.Logf("certificate %s, whose key was thrown away, is not revoked and lives until %s: %v", certs.Serial(c), c.NotAfter.UTC().Format(time.RFC3339), err)
	}
}
