package pkiintermediate

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// An authority is the intermediate and its parent as one Inspect read them.
type authority struct {
	*Spec
	client *vaultkit.Client
	name   string
	now    time.Time

	parent  *pki.Issuer // nil if it does not exist yet, or is external
	signing *signing    // by an external parent; nil for one in this Vault
	issuers []*pki.Issuer
	keys    []pki.Key
	named   *pki.Issuer // has the name, whether it serves or not
	current *pki.Issuer // serves; nil if one must be made
}

// look reads the parent and the mount, and finds the intermediate that serves.
func (a *authority) look(ctx context.Context, mounted bool) error {
	err := a.lookAbove(ctx)
	if err != nil || !mounted && a.signing == nil {
		return err
	}
	if !mounted {
		return a.lookSigning(ctx)
	}
	if a.issuers, err = pki.Issuers(ctx, a.client, a.Mount); err != nil {
		return err
	}
	a.named = pki.Named(a.issuers, a.name)
	if a.parent == nil && a.signing == nil {
		if a.named != nil {
			return a.noParent()
		}
		return nil
	}
	if a.current, err = a.find(); err != nil || a.current != nil {
		return err
	}
	if a.keys, err = pki.Keys(ctx, a.client, a.Mount); err != nil || a.signing == nil {
		return err
	}
	return a.lookSigning(ctx)
}

// lookAbove reads the parent.
func (a *authority) lookAbove(ctx context.Context) (err error) {
	if a.Parent.External == nil {
		a.parent, err = a.lookParent(ctx)
		return err
	}
	root, err := a.Parent.External.root()
	if err != nil {
		return engine.Permanent(err)
	}
	a.signing = &signing{root: root}
	return a.expired(root)
}

func (a *authority) noParent() error {
	return vaultkit.Refusal("let this step come after the pkiRoot step that makes it, for example by parent.certificate: ${steps.root.certificate}",
		"%s: the parent %s/issuer/%s does not exist", a.Mount, a.Parent.Mount, a.Parent.Issuer)
}

// lookParent returns the parent, or nil if it does not exist. One that cannot
// sign for the plan is a permanent error.
func (a *authority) lookParent(ctx context.Context) (*pki.Issuer, error) {
	parent, err := pki.ReadIssuer(ctx, a.client, a.Parent.Mount, a.Parent.Issuer)
	if vaultkit.Refused(err, "no handler for route") {
		return nil, nil
	}
	if err != nil || parent == nil {
		return nil, err
	}
	refuse := func(hint, format string, args ...any) error {
		return engine.WithHint(engine.Permanent(fmt.Errorf("parent %s/issuer/%s, %s: %s",
			a.Parent.Mount, a.Parent.Issuer, parent.Label(), fmt.Sprintf(format, args...))), hint)
	}
	if a.Parent.Certificate != "" {
		pinned, err := certs.ParseOne(a.Parent.Certificate)
		if err != nil {
			return nil, engine.Permanent(fmt.Errorf("parent.certificate: %w", err))
		}
		if !pinned.Equal(parent.Certificate) {
			return nil, refuse("set parent.issuer to the issuer that the plan means, or make it the mount's default",
				"is not parent.certificate (%s, SHA-256 %s)", pinned.Subject.CommonName, certs.Fingerprint(pinned))
		}
	}
	switch c := parent.Certificate; {
	case parent.KeyID == "":
		return nil, refuse("sign with an issuer whose key is in Vault", "has no key in Vault and cannot sign")
	case parent.Revoked:
		return nil, refuse("sign with another parent", "is revoked")
	case !certs.Signs(c):
		return nil, refuse("sign with an authority", "may not sign certificates")
	case !a.now.Before(c.NotAfter):
		return nil, refuse("make a new root first", "expired at %s", c.NotAfter.UTC().Format(time.RFC3339))
	}
	return parent, nil
}

// find returns the issuer that serves: the one with the name, or else one
// without a name or one that was retired and may still sign, the longest-lived
// first. It is nil if none serves. One that would serve but has a name of its own
// is refused, since a second one beside it would be a mistake.
func (a *authority) find() (*pki.Issuer, error) {
	if a.named != nil && len(a.failings(a.named)) == 0 {
		return a.named, nil
	}
	if k := a.keyless(); k != nil {
		return nil, vaultkit.Refusal(pki.ImportKey(a.Mount)+"; for a new one instead, remove this certificate: vault delete "+a.Mount+"/issuer/"+k.ID,
			"%s: the intermediate %s is there, and its key is not in Vault, so it cannot sign", a.Mount, k.Label())
	}
	var best *pki.Issuer
	for _, i := range a.issuers {
		if len(a.failings(i)) > 0 || !i.Issues() {
			continue
		}
		if i.Name != "" && !pki.Retired(a.name, i.Name) {
			return nil, vaultkit.Refusal("set issuerName: "+i.Name+" to use it, or another commonName to make a second one",
				"%s: the intermediate is there under the name %s, and the plan calls it %s", a.Mount, i.Name, a.name)
		}
		if best == nil || i.Certificate.NotAfter.After(best.Certificate.NotAfter) {
			best = i
		}
	}
	return best, nil
}

// keyless returns an issuer that would serve if its key were in the mount, or nil.
// Retired ones do not count: they have a successor.
func (a *authority) keyless() *pki.Issuer {
	for _, i := range a.issuers {
		if i.KeyID == "" && !pki.Retired(a.name, i.Name) && !i.Certificate.Equal(a.above()) && len(a.failings(i)) == 1 {
			return i
		}
	}
	return nil
}

// failings returns the differences between an issuer and the plan. An issuer
// without any serves.
func (a *authority) failings(i *pki.Issuer) []pki.Difference {
	c := i.Certificate
	out := a.compare(c)
	if i.KeyID == "" {
		out = append(out, pki.Difference{Field: "key_id", Have: "", Want: "a key in this mount"})
	}
	if i.Revoked {
		out = append(out, pki.Difference{Field: "revoked", Have: true, Want: false})
	}
	if _, err := a.chainOver(c); err != nil {
		out = append(out, pki.Difference{Field: "signed_by", Have: c.Issuer.CommonName + ", not the parent as it is now", Want: a.signer()})
	}
	if n := a.MaxPathLength; n != nil {
		if have := pathLength(c); have != any(*n) {
			out = append(out, pki.Difference{Field: "max_path_length", Have: have, Want: *n})
		}
	}
	if c.NotAfter.Sub(a.now) <= a.RenewBefore.Std() {
		out = append(out, pki.Difference{Field: "not_after", Have: c.NotAfter.UTC().Format(time.RFC3339), Want: "more than " + a.RenewBefore.String() + " ahead"})
	}
	return out
}

// above is the certificate of the parent, or the root over an external one.
func (a *authority) above() *x509.Certificate {
	if a.signing != nil {
		return a.signing.root
	}
	return a.parent.Certificate
}

// compare returns the differences between a certificate and the plan.
func (a *authority) compare(c *x509.Certificate) []pki.Difference {
	if a.signing != nil {
		return a.misnamed(c)
	}
	return a.Compare(c, a.parent.Certificate.NotAfter)
}

// chainOver returns the chain over a certificate that the parent signed; the error is why
// it did not.
func (a *authority) chainOver(c *x509.Certificate) ([]*x509.Certificate, error) {
	if a.signing != nil {
		return a.lead(c, a.handed()...)
	}
	if err := c.CheckSignatureFrom(a.parent.Certificate); err != nil {
		return nil, err
	}
	return a.intermediate().Above(), nil
}

// signer describes the parent.
func (a *authority) signer() string {
	c := a.above()
	return c.Subject.CommonName + ", SHA-256 " + certs.Fingerprint(c)
}

// pathLength is an authority's limit on authorities below it, nil for none.
func pathLength(c *x509.Certificate) any {
	if c.MaxPathLen > 0 || c.MaxPathLen == 0 && c.MaxPathLenZero {
		return c.MaxPathLen
	}
	return nil
}

// edits are the differences between the mount's issuers and the plan.
func (a *authority) edits() []engine.Edit {
	path := a.Mount + "/issuer/" + a.name
	var edits []engine.Edit
	switch {
	case a.current == nil && a.signing != nil:
		edits = a.signingEdits(path)
	case a.current == nil && a.named == nil:
		want := a.Want()
		want["signed_by"] = a.Parent.Mount + "/" + a.Parent.Issuer
		if a.parent != nil {
			want["signed_by"] = a.signer()
		}
		edits = append(edits, engine.Edit{Path: path, Want: want, Apply: a.issue})
	case a.current == nil:
		replace := vaultkit.Once(a.issue)
		for _, d := range a.failings(a.named) {
			edits = append(edits, engine.Edit{
				Path: path + "/" + d.Field, Have: d.Have, Want: d.Want,
				Note:  "by a new intermediate with a new key; this one keeps its certificate as " + pki.RetiredName(a.name, a.named.Certificate),
				Apply: replace,
			})
		}
	case a.current.Name != a.name:
		if a.named != nil {
			edits = append(edits, pki.Rename(a.client, a.Mount, a.named, pki.RetiredName(a.name, a.named.Certificate), "a newer intermediate takes its name"))
		}
		edits = append(edits, pki.Rename(a.client, a.Mount, a.current, a.name, "adopts the intermediate that is there"))
	}
	if a.current != nil {
		if !a.current.Issues() {
			edits = append(edits, a.current.Issue(a.client, a.Mount, true))
		}
		edits = append(edits, a.completeChain()...)
	}
	return append(edits, a.setDefault()...)
}

// setDefault makes the intermediate the default issuer, if another one is. Vault
// takes the first issuer with a key by itself, and stays with it.
func (a *authority) setDefault() []engine.Edit {
	d := pki.DefaultOf(a.issuers)
	switch {
	case a.current == nil && (d == nil || a.awaited()):
		return nil
	case d == nil:
		return []engine.Edit{pki.SetDefault(a.client, a.Mount, nil, a.name)}
	case a.current != nil && d.ID == a.current.ID:
		return nil
	}
	have := d.Ref()
	if d == a.named {
		have = pki.RetiredName(a.name, d.Certificate) // as it is called by then
	}
	return []engine.Edit{pki.SetDefault(a.client, a.Mount, have, a.name)}
}

// completeChain imports the chain above the intermediate if the mount lacks it.
func (a *authority) completeChain() []engine.Edit {
	above, err := a.chainOver(a.current.Certificate)
	if err != nil {
		return nil // then it would not serve
	}
	missing := slices.ContainsFunc(above, func(c *x509.Certificate) bool { return !slices.ContainsFunc(a.current.Chain, c.Equal) })
	if !missing {
		return nil
	}
	return []engine.Edit{{
		Path: a.Mount + "/issuer/" + a.name + "/ca_chain",
		Have: names(a.current.Chain),
		Want: names(append([]*x509.Certificate{a.current.Certificate}, above...)),
		Apply: func(ctx context.Context) error {
			return a.client.Put(ctx, a.Mount+"/issuers/import/cert", map[string]any{"pem_bundle": certs.Encode(above...)}, a.Allowed()...)
		},
	}}
}

func names(chain []*x509.Certificate) []string {
	out := make([]string, len(chain))
	for i, c := range chain {
		out[i] = c.Subject.CommonName
	}
	return out
}
