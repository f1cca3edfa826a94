package carollover

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// authorities fail where a real Vault cannot be made to: at one request.
type authorities struct {
	t         *testing.T
	root      *tlstest.CA
	old, next *tlstest.CA
	foreign   *tlstest.CA // signs as the new one, if there is one
	fails     string      // the request that fails
	hangs     bool        // Back does not return before its context ends
	did       []string
}

func (a *authorities) do(request string) error {
	a.did = append(a.did, request)
	if request == a.fails {
		return errors.New(request + " failed")
	}
	return nil
}

func (a *authorities) Make(context.Context) error {
	a.next = a.root.Intermediate(a.t, "new")
	return a.do("make")
}
func (a *authorities) Old() []*x509.Certificate  { return []*x509.Certificate{a.old.Cert} }
func (a *authorities) Next() []*x509.Certificate { return []*x509.Certificate{a.next.Cert} }

func (a *authorities) TakeOver(context.Context) error { return a.do("take over") }
func (a *authorities) Retire(context.Context) error   { return a.do("retire") }

func (a *authorities) Back(ctx context.Context) error {
	if a.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return a.do("back")
}

func (a *authorities) Refusal() evidence.Refusal {
	return evidence.Refusal{Status: 500, Text: "only had usage crl-signing"}
}

func (a *authorities) Ask(...string) (Trial, error) { return trial{a}, a.do("ask") }

type trial struct{ *authorities }

func (t trial) by(ca *tlstest.CA) ([]*x509.Certificate, error) {
	return ca.Issue(t.t, tlstest.Leaf{Names: []string{"hello.example.local"}}).Chain, nil
}
func (t trial) ByOld(context.Context) ([]*x509.Certificate, error) { return t.by(t.old) }
func (t trial) ByNext(context.Context) ([]*x509.Certificate, error) {
	if t.foreign != nil {
		return t.by(t.foreign)
	}
	return t.by(t.next)
}
func (t trial) Refused(context.Context) (int, string, error) {
	return 500, "only had usage crl-signing", t.do("refused")
}

func newRollover(t *testing.T, a *authorities) *Rollover {
	t.Helper()
	a.t, a.root = t, tlstest.NewCA(t, "root")
	a.old = a.root.Intermediate(t, "old")
	trust, err := tlskit.NewTrust(a.root.Cert)
	if err != nil {
		t.Fatal(err)
	}
	none := func(string, ...any) {}
	return New(Config{
		Spec: &Spec{Mount: "pki_int", IssuerName: "site", Role: "web"}, Trust: trust, Server: "hello.example.local",
		Look:   func(context.Context) (Authorities, error) { return a, a.do("look") },
		Env:    &engine.Env{Now: time.Now, Warnf: none, Logf: none, Statusf: none},
		Report: func(Progress) {},
	})
}

// Until the old intermediate is retired, it signs again after any failure.
func TestTheOldOneSignsAgainAfterAFailure(t *testing.T) {
	way := []string{"look", "make", "ask", "take over", "retire", "ask", "refused"}
	for _, c := range []struct {
		fails   string
		foreign bool
		did     []string
		why     string // "" if it completes
	}{
		{did: way},
		{fails: "look", did: []string{"look", "back"}, why: "given up while looking at the intermediate: look failed; the old one signs again"},
		{fails: "make", did: []string{"look", "make", "back"}, why: "given up while making a new intermediate: make failed; the old one signs again"},
		{fails: "take over", did: []string{"look", "make", "ask", "take over", "back"}, why: "take over failed; the old one signs again"},
		{foreign: true, did: []string{"look", "make", "ask", "back"}, why: "what the new intermediate signs does not lead to the trusted root"},
		{fails: "retire", did: way[:5], why: "given up while retiring the old intermediate: retire failed; the new one signs from now on"},
	} {
		name := c.fails
		if c.foreign {
			name = "an untrusted signer"
		}
		t.Run(name, func(t *testing.T) {
			a := &authorities{fails: c.fails}
			h := newRollover(t, a)
			if c.foreign {
				a.foreign = tlstest.NewCA(t, "another root")
			}
			go h.Run(t.Context())
			if err := h.Start(); err == nil {
				h.Proceed()
			}
			h.End()
			if !slices.Equal(a.did, c.did) {
				t.Errorf("did %q, want %q", a.did, c.did)
			}
			if h.Completed() != (c.why == "") || c.why != "" && !strings.Contains(h.why(), c.why) {
				t.Errorf("completed: %t, because %q, want %q", h.Completed(), h.why(), c.why)
			}
			if f := h.CheckRetired(false); f.Holds != (c.why == "") {
				t.Errorf("retired: %+v", f)
			}
		})
	}
}

// A run that is interrupted before Proceed lets the old one sign again, and gives that
// up after a while.
func TestInterrupted(t *testing.T) {
	for hangs, why := range map[bool]string{false: "the old one signs again", true: "the new one is still the default issuer"} {
		synctest.Test(t, func(t *testing.T) {
			a := &authorities{hangs: hangs}
			h := newRollover(t, a)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go h.Run(ctx)
			if err := h.Start(); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			cancel()
			h.End()
			if took := time.Since(began); hangs && took != turningBack || !hangs && took != 0 {
				t.Errorf("it took %s", took)
			}
			if h.Completed() || !strings.Contains(h.why(), why) {
				t.Errorf("completed: %t, because %q, want %q", h.Completed(), h.why(), why)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	measured := certwatch.Ref{Namespace: "web", Name: "hello"}
	good := Spec{Mount: "pki_int", IssuerName: "site", Role: "web"}
	for _, c := range []struct {
		name   string
		change func(*Spec)
		login  bool
		want   string // field of the problem, "" for none
	}{
		{"good", func(*Spec) {}, true, ""},
		{"a token", func(s *Spec) { s.Token = engine.NewSecret("t") }, false, ""},
		{"no way in", func(*Spec) {}, false, "intermediate"},
		{"the parent's mount", func(s *Spec) { s.Mount = defaultParentMount }, true, "intermediate.mount"},
		{"the measured one again", func(s *Spec) { s.Certificates = []certwatch.Ref{measured} }, true, "intermediate.certificates[0]"},
		{"one twice", func(s *Spec) {
			s.Certificates = []certwatch.Ref{{Namespace: "web", Name: "a"}, {Namespace: "web", Name: "a"}}
		}, true, "intermediate.certificates[1]"},
	} {
		spec := good
		c.change(&spec)
		var p engine.Problems
		spec.Validate(&p, measured, c.login)
		got := ""
		for _, one := range p.List() {
			got += one.Field
		}
		if got != c.want {
			t.Errorf("%s: problems in %q, want %q", c.name, got, c.want)
		}
	}
}
