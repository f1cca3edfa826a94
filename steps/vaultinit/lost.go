package vaultinit

import (
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

// startOver is the hint for a Vault whose keys nobody has.
func (s *Spec) startOver() string {
	data := fmt.Sprintf("delete its data (each of its pods, and the PersistentVolumeClaim of each, such as data-%s-0)", s.Vault.Service.Name)
	if s.Vault.InCluster() == "" {
		data = s.Vault.Emptied()
	}
	return "the keys of this Vault are lost, and nothing is stored in it yet: " + data + ", and run again"
}

const keepAll = "if there are keys of this Vault, put them where the plan says and make the file yours alone (chmod 600); " +
	"delete nothing of Vault before you know the content of the files that look like keys"

// looks names files that look like keys and are no sinks.
func (s *Spec) looks(env *engine.Env, strays []custody.Stray) []string {
	var seen []string
	for _, left := range strays {
		if left.Err != nil {
			seen = append(seen, left.Err.Error())
		}
	}
	for _, path := range s.Keys.Lookalikes(env) {
		seen = append(seen, path+": holds keys of a Vault")
	}
	return seen
}

// lost is the error of an initialised Vault whose keys are in no sink. note is the
// note of a run that ended before it had stored them, nil for none. Its hint is to
// delete the data of Vault only if no file that looks like keys is left of that
// run, or lies where its keys would.
func (s *Spec) lost(env *engine.Env, status *vaultkit.State, strays []custody.Stray, note *custody.Note) error {
	pod := ""
	if status.Pod != "" {
		pod = " in pod " + status.Pod
	}
	err := fmt.Errorf("vault is initialised%s, and its keys are not there: %s, nor is there an emergency file", pod, s.Keys.Absent())
	if note != nil {
		err = fmt.Errorf("%w: %s", err, ended(note))
	}
	seen := s.looks(env, strays)
	switch {
	case len(seen) > 0:
		return engine.WithHint(engine.Permanent(fmt.Errorf("%w; there is %s", err, strings.Join(seen, "; "))), keepAll)
	case note == nil:
		return engine.WithHint(engine.Permanent(err),
			"if the keys are elsewhere, put them there, in the form of vault operator init -format=json; "+
				"if this is a new installation, it took up the volume of an earlier one: with the old keys gone its data cannot be read, "+
				"so "+s.Vault.Emptied()+", and run again")
	case status.Type == vaultkit.Shamir && !status.Sealed:
		// Unsealing takes the keys, so it was initialised again after that run.
		return vaultkit.Refusal("find who initialised it, and put the keys there, in the form of vault operator init -format=json",
			"%w; but it is unsealed, so its keys exist", err)
	}
	return engine.WithHint(engine.Permanent(err), s.startOver())
}

func ended(note *custody.Note) string {
	if note.Began.IsZero() {
		return "a run began to initialise it, and ended before the answer was stored"
	}
	return fmt.Sprintf("a run of plan %s, step %s, began to initialise it at %s, and ended before the answer was stored",
		note.Plan, note.Step, note.Began.Format(time.RFC3339))
}

// withoutKeys logs that a Vault initialised itself and gave no keys: later steps
// authenticate with a login or a token of the plan.
func (s *Spec) withoutKeys(env *engine.Env, status *vaultkit.State) {
	env.Logf("%s initialised itself (seal %s, no shares): there are no keys to keep and no root token; "+
		"the steps log in with connections.vault.login or connections.vault.token", status.Where(), status.Type)
}

// sealed is the edit for a Vault that opens itself and has not yet, so that it does not
// tell whether it has shares.
func sealed(status *vaultkit.State) engine.Edit {
	return engine.Edit{
		Path: status.At("sys/seal"), Have: "sealed, so that the number of its shares is not known", Want: "unsealed",
		Note: "Vault unseals itself with its " + status.Type + " seal",
		Hint: "the log of its pod says why the seal does not open: kubectl logs",
	}
}
