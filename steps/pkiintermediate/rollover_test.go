package pkiintermediate_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/rollover"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
)

// rollOver puts a new intermediate into the place of the step's.
func (w *parentVault) rollOver(t *testing.T, s *pkiintermediate.Spec, steps int) *rollover.Rollover {
	t.Helper()
	c, err := login.Connect(t.Context(), vaulttest.Env(t), s.Vault)
	if err != nil {
		t.Fatal(err)
	}
	place := rollover.Place{
		Mount: s.Mount, Issuer: "intermediate-lab", ParentMount: s.Parent.Mount, Parent: s.Parent.Issuer, Role: s.Roles[0].Name,
	}
	edits := &enginetest.Edits{Declared: place.Changes()}
	next, err := rollover.Look(t.Context(), c, place, time.Now(), edits.Apply)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for _, step := range []func() error{
		func() error { return next.Make(ctx) },
		func() error { return next.TakeOver(ctx) },
		func() error { return next.Retire(ctx) },
	}[:steps] {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return next
}

// When another proof has put a new intermediate into the old one's place, there
// is nothing to do; when it stopped before that, the old one serves on.
func TestAfterARollover(t *testing.T) {
	for _, c := range []struct {
		name   string
		steps  int
		change func(s *pkiintermediate.Spec)
		want   []string
		next   bool // the new one serves in the end
	}{
		{name: "whole", steps: 3, next: true},
		{name: "made", steps: 1},
		{name: "taken over", steps: 2, want: []string{"/config/issuers/default: %s -> intermediate-lab"}},
		{name: "path length", steps: 3, next: true, change: func(s *pkiintermediate.Spec) { zero := 0; s.MaxPathLength = &zero }},
		{name: "rsa", steps: 3, next: true, change: func(s *pkiintermediate.Spec) { s.KeyType = "rsa" }},
		{name: "subject", steps: 3, next: true, change: func(s *pkiintermediate.Spec) {
			s.Subject = pki.Subject{Organization: []string{"Lab"}, Country: []string{"CO"}}
		}},
		{name: "without urls", steps: 3, next: true, change: func(s *pkiintermediate.Spec) { s.URLs = pki.URLs{} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newParentVault(t)
			s := w.spec(w.Address)
			if c.change != nil {
				c.change(s)
			}
			was := converge(t, s)
			next := w.rollOver(t, s, c.steps)
			_, edits := inspect(t, s)
			have := vaulttest.Show(edits)
			if len(have) != len(c.want) {
				t.Fatalf("edits:\n%s", cmp.Diff(c.want, have))
			}
			is := converge(t, s)
			if changed := is.IssuerID != was.IssuerID; changed != c.next || changed && is.Certificate != certs.Encode(next.Next()[0]) {
				t.Errorf("%s serves, before %s; the new one is to serve: %t", is.IssuerID, was.IssuerID, c.next)
			}
		})
	}
}

// An intermediate that may not sign is no authority: the step lets it.
func TestMayNotSign(t *testing.T) {
	w := newParentVault(t)
	s := w.spec(w.Address)
	out := converge(t, s)
	w.Do(t, "PATCH", w.mount+"/issuer/"+out.IssuerID, `{"usage":"read-only,crl-signing"}`)
	_, edits := inspect(t, s)
	want := []string{w.mount + "/issuer/intermediate-lab/usage: [crl-signing read-only] -> [crl-signing issuing-certificates read-only]"}
	if diff := cmp.Diff(want, vaulttest.Show(edits)); diff != "" {
		t.Error(diff)
	}
	if again := converge(t, s); again.IssuerID != out.IssuerID {
		t.Error("another one was made")
	}
}
