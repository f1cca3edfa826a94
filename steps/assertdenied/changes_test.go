package assertdenied_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertdenied"
)

// A refused attempt is an edit that failed; a granted one was applied, and its
// revocation is another.
func TestAttemptsAreEdits(t *testing.T) {
	w := newSetup(t)
	s := w.spec()
	s.Attempts = nil
	login, sign := "auth/"+w.auth+"/login/", s.Sign.Path+"/"
	temporary := "ServiceAccount/default/" + w.account
	check := func(what string, have []string, want ...string) {
		t.Helper()
		slices.Sort(want)
		if slices.Sort(have); !slices.Equal(have, want) {
			t.Errorf("%s (-want +got):\n%s", what, cmp.Diff(want, have))
		}
	}
	// applied without the revocations of certificates, whose serials are not known.
	applied := func() []string {
		return slices.DeleteFunc(w.edits.Applied(), func(p string) bool { return engine.Below(p, w.pki+"/cert") })
	}

	if _, findings, err := w.prove(s); err != nil || len(violated(findings)) > 0 {
		t.Fatalf("violated: %v, %v", violated(findings), err)
	}
	check("refused", w.edits.Refused(), login+"another ServiceAccount", login+"another namespace", login+"another audience", sign+"a foreign name", sign+"a date beyond the maximum")
	check("applied", applied(), sign+"(control)", sign+"a ttl beyond the maximum", temporary, temporary)

	w.login(map[string]any{"bound_service_account_names": "*"})
	defer w.login(nil)
	s.Attempts = []assertdenied.Attempt{{Name: "anybody", Login: &assertdenied.LoginAttempt{ServiceAccount: "default"}}}
	if _, findings, err := w.prove(s); err != nil || len(violated(findings)) != 1 {
		t.Fatalf("violated: %v, %v", violated(findings), err)
	}
	check("granted", applied(), sign+"(control)", login+"anybody", login+"anybody")
}

func TestChanges(t *testing.T) {
	w := newSetup(t)
	s := w.spec()
	s.Attempts = nil
	paths := func() (list []string) {
		for _, e := range s.Changes() {
			list = append(list, e.Path)
		}
		return list
	}
	want := []string{"ServiceAccount/" + w.namespace + "/default", "ServiceAccount/default/" + w.account, "auth/" + w.auth + "/login", s.Sign.Path, w.pki + "/cert"}
	if d := cmp.Diff(want, paths()); d != "" {
		t.Errorf("declared (-want +got):\n%s", d)
	}
	s.Login, s.Sign = nil, nil
	if got := paths(); got != nil {
		t.Errorf("a proof that only dials declares %q", got)
	}
}
