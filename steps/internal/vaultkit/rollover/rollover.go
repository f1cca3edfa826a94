// Package rollover puts a new intermediate authority into the place of an old
// one while both are in use.
//
// The new one is made beside the old, with its subject, kind of key and
// lifetime and a key of its own, signed by the same parent. From then on both
// can sign, and certificates of either lead to the same root: that is the overlap
// in which leaves change sides. The default issuer of the mount signs requests to
// the mount; a client that verifies up to the root does not notice. At the end the
// old one keeps its certificate and may sign revocation lists, since its
// certificates stay valid to their end, and may not sign certificates any more.
//
// Names change last and the way pkiIntermediate changes them, so that a plan's
// step of that kind finds nothing to do afterwards. Until then its next run
// would go back to the old one, which is right after a rollover that failed:
// that leaves an issuer without a name, and the next rollover goes on with it.
//
// AIA and CRL addresses of a mount that do not name the issuer ({{issuer_id}},
// with templated addresses) lead to the default issuer's certificate and list,
// also for leaves of the old one. Those who fetch them need templated ones.
package rollover

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// A Place is the intermediate of a rollover, with its parent.
type Place struct {
	Mount       string // the PKI engine of the intermediate
	Issuer      string // the name of the intermediate there
	ParentMount string // the PKI engine of its parent
	Parent      string // name or id of the parent there, or default
	Role        string // a role of Mount that signs leaves
}

// Changes are the edits of a rollover: (old) and (new) are the two
// intermediates, whose ids are not known before, and (retired) those before the
// old one.
func (p Place) Changes() []engine.Edit {
	const trial = "certificates for a minute, whose keys are thrown away"
	at := p.Mount + "/issuer/"
	return []engine.Edit{
		{Path: at + "(new)", Want: map[string]any{"issuer_name": p.Issuer, "signed_by": p.ParentMount + "/" + p.Parent},
			Note: "a new intermediate beside " + p.Issuer + ", whose name it takes in the end"},
		{Path: at + "(old)/sign/" + p.Role, Want: trial, Note: "the old one signs, and refuses once it is retired"},
		{Path: at + "(new)/sign/" + p.Role, Want: trial, Note: "the new one signs"},
		{Path: p.Mount + "/config/issuers/default", Want: "(new)", Note: "back to the old one if what follows fails"},
		{Path: at + "(old)/issuer_name", Want: p.Issuer + "-(serial)"},
		{Path: at + "(new)/issuer_name", Want: p.Issuer},
		{Path: at + "(old)/usage", Want: "without issuing-certificates"},
		{Path: at + "(retired)", Want: "usage without issuing-certificates", Note: "those that an earlier rollover left able to sign"},
	}
}

// A Rollover is one change from an intermediate to the next. It is used by one
// goroutine. It changes nothing but by its edits, see [Place.Changes].
type Rollover struct {
	place    Place
	client   *vaultkit.Client
	change   func(context.Context, engine.Edit) error
	parent   *pki.Issuer
	issuers  []*pki.Issuer
	role     role
	old      *pki.Issuer
	next     *pki.Issuer
	switched bool
}

// Look reads both authorities and the role. Before anything is written it refuses
// a set-up in which a rollover could not prove anything: a mount whose
// default is not the intermediate, a role that is bound to one issuer, and a
// parent that did not sign the intermediate or does not live as long as a new
// one would. The rollover makes its edits by change, such as [engine.Env.Apply].
func Look(ctx context.Context, c *vaultkit.Client, p Place, now time.Time, change func(context.Context, engine.Edit) error) (*Rollover, error) {
	s := &Rollover{place: p, client: c, change: change}
	var err error
	if s.issuers, err = pki.Issuers(ctx, c, p.Mount); err != nil {
		return nil, err
	}
	if s.old = pki.Named(s.issuers, p.Issuer); s.old == nil {
		return nil, vaultkit.Refusal("let this step need the pkiIntermediate step that makes it, and name it as issuerName there",
			"%s has no issuer called %s", p.Mount, p.Issuer)
	}
	if s.parent, err = pki.ReadIssuer(ctx, c, p.ParentMount, p.Parent); err != nil {
		return nil, err
	}
	if s.parent == nil {
		return nil, vaultkit.Refusal("name the parent as in the pkiIntermediate step", "%s has no issuer %s", p.ParentMount, p.Parent)
	}
	if s.role, err = readRole(ctx, c, p.Mount, p.Role); err != nil {
		return nil, err
	}
	was, parent := s.old.Certificate, s.parent.Certificate
	switch d := pki.DefaultOf(s.issuers); {
	case s.old.KeyID == "" || !s.old.Issues():
		return nil, vaultkit.Refusal("run the plan again: the pkiIntermediate step mends that", "%s/issuer/%s cannot sign", p.Mount, p.Issuer)
	case d != s.old:
		return nil, vaultkit.Refusal("run the plan again: the pkiIntermediate step makes it the default", "%s is not the default issuer of %s", p.Issuer, p.Mount)
	case was.CheckSignatureFrom(parent) != nil:
		return nil, vaultkit.Refusal("name the parent as in the pkiIntermediate step", "%s/issuer/%s, %s, did not sign %s", p.ParentMount, p.Parent, s.parent.Label(), s.old.Label())
	case s.role.issuer != "default":
		return nil, vaultkit.Refusal("leave the role's issuer_ref at default: then the mount's default issuer signs",
			"role %s/roles/%s signs with issuer %s whatever the mount's default is", p.Mount, p.Role, s.role.issuer)
	case s.leftover() == nil && parent.NotAfter.Before(now.Add(lifetime(was))):
		return nil, vaultkit.Refusal("make a new root first, or an intermediate with a shorter ttl",
			"%s ends at %s, and a new intermediate would live for %s", s.parent.Label(), parent.NotAfter.UTC().Format(time.RFC3339), engine.Duration(lifetime(was)))
	}
	return s, nil
}

// lifetime is the lifetime in the request for c: Vault sets the beginning back
// by seconds (not_before_duration, 30 by default), which must not add up from
// one generation to the next.
func lifetime(c *x509.Certificate) time.Duration {
	return c.NotAfter.Sub(c.NotBefore).Truncate(time.Minute)
}

// leftover returns the intermediate that an earlier rollover made and did not
// finish, or nil.
func (s *Rollover) leftover() *pki.Issuer {
	kind := s.kind()
	var best *pki.Issuer
	for _, i := range s.issuers {
		c := i.Certificate
		if i.Name != "" || i.KeyID == "" || i.Revoked || !i.Issues() || !c.IsCA || len(kind.Compare(c, time.Time{})) > 0 ||
			c.CheckSignatureFrom(s.parent.Certificate) != nil || c.NotAfter.Before(s.old.Certificate.NotAfter) {
			continue
		}
		if best == nil || c.NotAfter.After(best.Certificate.NotAfter) {
			best = i
		}
	}
	return best
}

// kind describes the old intermediate, and so the new one.
func (s *Rollover) kind() pki.Authority {
	c := s.old.Certificate
	a := pki.Authority{CommonName: c.Subject.CommonName, Subject: pki.SubjectOf(c), TTL: engine.Duration(lifetime(c))}
	a.KeyType, a.KeyBits = pki.PublicKey(c.PublicKey)
	return a
}

// Make makes the new intermediate, or finds the one that was left behind.
func (s *Rollover) Make(ctx context.Context) error {
	if s.next = s.leftover(); s.next != nil {
		return nil
	}
	keys, err := pki.Keys(ctx, s.client, s.place.Mount)
	if err != nil {
		return err
	}
	i := pki.Intermediate{
		Authority: s.kind(), Mount: s.place.Mount, Name: s.place.Issuer,
		ParentMount: s.place.ParentMount, Parent: s.parent,
		// The pkiIntermediate step decides whether the mount has URLs.
		Allow: []vaultkit.Allow{pki.NoAddresses},
	}
	if c := s.old.Certificate; c.MaxPathLen > 0 || c.MaxPathLen == 0 && c.MaxPathLenZero {
		i.MaxPathLength = &c.MaxPathLen
	}
	want := s.kind().Want()
	want["signed_by"] = s.place.ParentMount + "/" + s.parent.Ref()
	var id string
	err = s.change(ctx, engine.Edit{Path: s.at("(new)"), Want: want, Apply: func(ctx context.Context) error {
		id, err = i.Make(ctx, s.client, keys, s.issuers)
		return err
	}})
	if err != nil {
		return err
	}
	s.next, err = pki.ReadIssuer(ctx, s.client, s.place.Mount, id)
	if err == nil && s.next == nil {
		err = engine.Permanent(fmt.Errorf("%s/issuer/%s, which was just made, does not exist", s.place.Mount, id))
	}
	return err
}

// Old is the chain of the old intermediate.
func (s *Rollover) Old() []*x509.Certificate { return chainOf(s.old) }

// Next is the chain of the new one, nil before Make.
func (s *Rollover) Next() []*x509.Certificate { return chainOf(s.next) }

func chainOf(i *pki.Issuer) []*x509.Certificate {
	if i == nil {
		return nil
	}
	if len(i.Chain) > 0 {
		return i.Chain
	}
	return []*x509.Certificate{i.Certificate}
}

// at is the path of an edit of an issuer: (old), (new), or one that is retired.
func (s *Rollover) at(issuer string) string { return s.place.Mount + "/issuer/" + issuer }

// TakeOver makes the new intermediate the default issuer of the mount.
func (s *Rollover) TakeOver(ctx context.Context) error {
	e := pki.SetDefault(s.client, s.place.Mount, s.place.Issuer, s.next.ID)
	apply := e.Apply
	e.Apply = func(ctx context.Context) error {
		s.switched = true // even if the answer is lost
		return apply(ctx)
	}
	return s.change(ctx, e)
}

// Back makes the old one the default again if TakeOver changed that.
func (s *Rollover) Back(ctx context.Context) error {
	if !s.switched {
		return nil
	}
	err := s.change(ctx, pki.SetDefault(s.client, s.place.Mount, s.next.ID, s.old.ID))
	if err == nil {
		s.switched = false
	}
	return err
}

// Retire gives the name of the old intermediate to the new one and forbids the
// old one to sign certificates, together with those that an earlier rollover
// left able to.
func (s *Rollover) Retire(ctx context.Context) error {
	mount, name := s.place.Mount, s.place.Issuer
	s.switched = false
	edits := []engine.Edit{
		pki.Rename(s.client, mount, s.old, pki.RetiredName(name, s.old.Certificate), ""),
		pki.Rename(s.client, mount, s.next, name, ""),
		s.old.Issue(s.client, mount, false),
	}
	for i, field := range []string{"(old)/issuer_name", "(new)/issuer_name", "(old)/usage"} {
		edits[i].Path = s.at(field)
	}
	for _, i := range s.issuers {
		if pki.Retired(name, i.Name) && i.Issues() {
			e := i.Issue(s.client, mount, false)
			e.Path = s.at("(retired)/" + i.Name + "/usage")
			edits = append(edits, e)
		}
	}
	for _, e := range edits {
		if err := s.change(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// ErrSigned is the error of Refused when the old intermediate signed.
var ErrSigned = errors.New("the old intermediate still signs")
