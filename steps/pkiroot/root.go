package pkiroot

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// inspectRoot finds the plan's root among the issuers of the mount, or returns
// the edit that makes it. The root is nil while there is none.
func (s *Spec) inspectRoot(ctx context.Context, env *engine.Env, c *vaultkit.Client, mounted bool, issuers []*pki.Issuer) (*pki.Issuer, []engine.Edit, error) {
	name := s.issuerName(env.Plan)
	root, err := s.find(env, issuers)
	if err != nil {
		return nil, nil, err
	}
	var edits []engine.Edit
	switch {
	case root == nil:
		generate, err := s.generate(ctx, env, c, mounted, name, issuers)
		if err != nil {
			return nil, nil, err
		}
		edits = append(edits, generate)
		if d := pki.DefaultOf(issuers); d != nil { // without one, Vault takes the root
			edits = append(edits, pki.SetDefault(c, s.Mount, d.Ref(), name))
		}
		return nil, edits, nil
	case root.Name != name:
		edits = append(edits, pki.Rename(c, s.Mount, root, name, "adopts the root that is there"))
	}
	if d := pki.DefaultOf(issuers); d == nil {
		edits = append(edits, pki.SetDefault(c, s.Mount, nil, name))
	} else if d.ID != root.ID {
		edits = append(edits, pki.SetDefault(c, s.Mount, d.Ref(), name))
	}
	s.warn(env, root, issuers)
	return root, edits, nil
}

// find returns the issuer that is the plan's root: the one with its name, or
// else a nameless one with its common name. It returns nil if a root can be made
// without harm, and a permanent error otherwise.
func (s *Spec) find(env *engine.Env, issuers []*pki.Issuer) (*pki.Issuer, error) {
	name, now := s.issuerName(env.Plan), env.Now()
	if i := pki.Named(issuers, name); i != nil {
		return i, s.check(i, now)
	}
	// A certificate of the plan's name whose key is elsewhere is that authority:
	// a second one of the same name could not be distinguished from it.
	if k := pki.Keyless(issuers, s.CommonName); k != nil {
		return nil, s.check(k, now)
	}
	var nameless []*pki.Issuer
	for _, i := range roots(issuers) {
		switch {
		case i.Certificate.Subject.CommonName != s.CommonName:
			return nil, s.refuse(i, fmt.Sprintf("the plan's root is %q", s.CommonName),
				"choose another mount: two roots in one mount cannot be told apart by those who trust them")
		case i.Name != "":
			return nil, s.refuse(i, fmt.Sprintf("the plan calls it %s", name), "set issuerName: "+i.Name+" to use this root, or choose another mount")
		}
		nameless = append(nameless, i)
	}
	switch len(nameless) {
	case 0:
		return nil, nil
	case 1:
		return nameless[0], s.check(nameless[0], now)
	}
	if i := pki.DefaultOf(nameless); i != nil {
		return i, s.check(i, now)
	}
	return nil, vaultkit.Refusal(fmt.Sprintf("name the one to keep: vault write %s/issuer/ID issuer_name=%s", s.Mount, name),
		"%s holds %d roots named %q, none of which is the default issuer", s.Mount, len(nameless), s.CommonName)
}

// roots are the self-signed issuers that can sign.
func roots(issuers []*pki.Issuer) []*pki.Issuer {
	return slices.DeleteFunc(slices.Clone(issuers), func(i *pki.Issuer) bool { return !i.SelfSigned() || i.KeyID == "" })
}

// check returns a permanent error unless an issuer can serve as the plan's root.
func (s *Spec) check(i *pki.Issuer, now time.Time) error {
	const another = "a root cannot be changed: write what it is into the plan, or make another one with another issuerName in another mount"
	c := i.Certificate
	switch {
	case i.Revoked:
		return s.refuse(i, "it is revoked", "choose another mount and issuerName, and replace the root wherever it is trusted")
	case !now.Before(c.NotAfter):
		return s.refuse(i, "it expired at "+c.NotAfter.UTC().Format(time.RFC3339),
			"choose another mount and issuerName for a new root, and replace the old one wherever it is trusted")
	case i.KeyID == "":
		return s.refuse(i, "its key is not in Vault, so it cannot sign", pki.ImportKey(s.Mount)+"; or choose another mount")
	case !i.SelfSigned():
		return s.refuse(i, "it is signed by "+c.Issuer.String()+" and is no root", "set another issuerName")
	case !certs.Signs(c):
		return s.refuse(i, "it may not sign certificates", another)
	}
	if diffs := s.Compare(c, time.Time{}); len(diffs) > 0 {
		return s.refuse(i, "it is not what the plan says: "+list(diffs), another)
	}
	return nil
}

func (s *Spec) refuse(i *pki.Issuer, reason, hint string) error {
	return engine.WithHint(engine.Permanent(fmt.Errorf("%s: root %s: %s", s.Mount, i.Label(), reason)), hint)
}

// warn reports issuers that the step does not change, and a root that ends soon.
func (s *Spec) warn(env *engine.Env, root *pki.Issuer, issuers []*pki.Issuer) {
	for _, i := range roots(issuers) {
		if i.ID != root.ID {
			env.Warnf("%s holds another root: %s", s.Mount, i.Label())
		}
	}
	if k := pki.Keyless(issuers, s.CommonName); k != nil {
		env.Warnf("%s holds another certificate named %q, without its key: %s", s.Mount, s.CommonName, k.Label())
	}
	c := root.Certificate
	if left := c.NotAfter.Sub(env.Now()); left < c.NotAfter.Sub(c.NotBefore)/10 {
		env.Warnf("%s: root %s expires at %s: plan its successor", s.Mount, root.Label(), c.NotAfter.UTC().Format(time.RFC3339))
	}
}

// generate returns the edit that makes the root. Its name keeps a repeat
// from making a second one.
func (s *Spec) generate(ctx context.Context, env *engine.Env, c *vaultkit.Client, mounted bool, name string, issuers []*pki.Issuer) (engine.Edit, error) {
	request := s.NameParameters()
	request["issuer_name"] = name
	request["ttl"] = s.TTL.Seconds()
	path, note := s.Mount+"/root/generate/internal", ""

	var orphan bool
	if mounted {
		keys, err := pki.Keys(ctx, c, s.Mount)
		if err != nil {
			return engine.Edit{}, err
		}
		orphan = slices.ContainsFunc(pki.Orphans(keys, issuers), func(k pki.Key) bool { return k.Name == name })
	}
	if orphan {
		path, note = s.Mount+"/root/generate/existing", "uses the key of this name that is there without a certificate"
		request["key_ref"] = name
	} else {
		request["key_name"] = name
		request["key_type"] = s.KeyType
		request["key_bits"] = s.KeyBits
	}
	return engine.Edit{
		Path: s.Mount + "/issuer/" + name,
		Want: s.Want(),
		Note: note,
		Apply: func(ctx context.Context) error {
			if err := s.absent(ctx, env, c); err != nil {
				return err
			}
			answer, err := c.Write(ctx, path, request, s.Allowed()...)
			if vaultkit.Warned(err) {
				return s.spoiled(name, err)
			}
			if err != nil {
				return err
			}
			// Vault 1.21 cuts a lifetime without the warning that it owes: the
			// warnings of generating are lost behind those of the CRL.
			cert, err := certs.ParseOne(vaultkit.Text(answer["certificate"]))
			if err != nil {
				return engine.Permanent(fmt.Errorf("%s: %w", path, err))
			}
			made := &pki.Issuer{ID: vaultkit.Text(answer["issuer_id"]), Name: name, KeyID: vaultkit.Text(answer["key_id"]), Certificate: cert}
			if diffs := s.Compare(cert, time.Time{}); len(diffs) > 0 {
				return s.spoiled(name, s.refuse(made, "it is not what the plan says: "+list(diffs), "raise maxLeaseTTL of the mount, or shorten the ttl"))
			}
			return nil
		},
	}, nil
}

// absent looks for the root again, right before it is made: another plan may want
// the same one under another name, which Vault does not refuse.
func (s *Spec) absent(ctx context.Context, env *engine.Env, c *vaultkit.Client) error {
	issuers, err := pki.Issuers(ctx, c, s.Mount)
	if err != nil {
		return err
	}
	root, err := s.find(env, issuers)
	if err == nil && root != nil {
		err = fmt.Errorf("%s: root %s was made by another run in this moment: looking again", s.Mount, root.Label())
	}
	return err
}

// spoiled adds to err how to start over: the root that was just made is not the
// one that was asked for, and is not trusted anywhere yet.
func (s *Spec) spoiled(name string, err error) error {
	return engine.WithHint(err, fmt.Sprintf(
		"the root exists now, and is not as planned: %s; then remove it (vault delete %s/issuer/%s, and vault delete %s/key/%s) and run again, or allow a warning with allowWarnings",
		cmp.Or(engine.HintOf(err), "see what the warning says"), s.Mount, name, s.Mount, name))
}

func list(diffs []pki.Difference) string {
	parts := make([]string, len(diffs))
	for i, d := range diffs {
		parts[i] = fmt.Sprintf("%s is %v, not %v", d.Field, d.Have, d.Want)
	}
	return strings.Join(parts, "; ")
}
