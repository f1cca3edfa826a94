package steps_test

import (
	"testing"

	"github.com/ztplan/ztplan/steps/assertdenied"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/internal/carollover"
)

// A proof that does not talk to Vault has no Vault: a run needs no lock for it.
func TestProofsWithoutVault(t *testing.T) {
	rotation := assertrotation.Kind.New().(*assertrotation.Spec)
	denial := assertdenied.Kind.New().(*assertdenied.Spec)
	for _, s := range []string{rotation.ServerInTarget(), denial.ServerInTarget()} {
		if s != "" {
			t.Errorf("it is at %s", s)
		}
	}
	rotation.Intermediate, denial.Login = new(carollover.Spec), new(assertdenied.Login)
	for _, s := range []string{rotation.ServerInTarget(), denial.ServerInTarget()} {
		if s != "vault/vault" {
			t.Errorf("it is at %q, and should be at the Vault of the defaults", s)
		}
	}
}
