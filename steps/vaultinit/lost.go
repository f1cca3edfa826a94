package vaultinit

import (
	"fmt"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

const startOver = "nobody has the keys of this Vault, and nothing is stored in it yet: " +
	"delete its data (the PersistentVolumeClaim data-vault-0 and the pod), and run again"

// lost is the error of an initialised Vault whose keys are not where the plan
// says. note is what a run left that ended before it had stored them, nil if none
// did.
func (s *Spec) lost(status *vaultkit.SealStatus, emergency custody.Emergency, note *custody.Note) error {
	err := fmt.Errorf("vault is initialised, and %s holds no keys (nor does %s)", s.Keys, emergency)
	switch {
	case note == nil:
		return engine.WithHint(engine.Permanent(err),
			"if the keys are elsewhere, put them there, in the form of vault operator init -format=json; "+
				"if this is a new installation, it took up the volume of an earlier one: with the old keys gone its data cannot be read, "+
				"so remove the release, delete the PersistentVolumeClaim data-vault-0, and run again")
	case status.Type == vaultkit.Shamir && !status.Sealed:
		// Unsealing takes the keys, so somebody initialised it after that run.
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("%w: %s; but it is unsealed, so somebody has its keys", err, ended(note))),
			"find who initialised it, and put the keys there, in the form of vault operator init -format=json")
	}
	return engine.WithHint(engine.Permanent(fmt.Errorf("%w: %s", err, ended(note))), startOver)
}

func ended(note *custody.Note) string {
	if note.Began.IsZero() {
		return "a run began to initialise it, and ended before the answer was stored"
	}
	return fmt.Sprintf("a run of plan %s, step %s, began to initialise it at %s, and ended before the answer was stored",
		note.Plan, note.Step, note.Began.Format(time.RFC3339))
}
