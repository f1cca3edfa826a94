package enginetest

import (
	"context"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// A Case is one step of a kind and the system that it changes.
type Case struct {
	Kind *engine.Kind

	// Spec returns a fresh spec, as decoded from a plan, for the same objects each
	// time. It starts from Kind.New for the defaults.
	Spec func() any

	// Env is the environment of the step.
	Env *engine.Env

	// Reset, optional, brings the system back to its state before the step.
	// Run calls it first, and again before the run that stops after every
	// edit; its context allows writes. Without it that run comes first and
	// leaves nothing for the run in one go.
	Reset func(ctx context.Context) error

	// Give does the work of the person whom a step awaits, and is required for a
	// step that ends so. Reset takes it back.
	Give func(ctx context.Context) error

	// Writes, optional, counts the mutating requests that were sent.
	Writes func() int

	// Secrets are texts that must not show anywhere, beyond the secrets in the
	// spec and in the outputs.
	Secrets []string
}

// Run checks the contract, each part as a subtest, and stops at the first part
// that fails.
func Run(t *testing.T, c Case) {
	t.Helper()
	if c.Kind.Proof {
		runParts(t, c, []part{
			{"intent", (*checker).intent},
			{"changes", (*checker).changes},
			{"cancelled", (*checker).cancelledProof},
			{"prove", (*checker).prove},
		})
		return
	}
	if c.Reset == nil {
		runParts(t, c, []part{
			{"look", (*checker).look},
			{"cancelled", (*checker).cancelledLook},
			{"killed", (*checker).editByEdit},
			{"again", (*checker).again},
			{"foresee", (*checker).foresee},
		})
		return
	}
	runParts(t, c, []part{
		{"reset", (*checker).reset},
		{"look", (*checker).look},
		{"cancelled", (*checker).cancelledLook},
		{"apply", (*checker).inOneGo},
		{"again", (*checker).again},
		{"foresee", (*checker).foresee},
		{"reset again", (*checker).reset},
		{"killed", (*checker).editByEdit},
		{"again after killed", (*checker).again},
	})
}

// A part of the contract; its error describes the breach.
type part struct {
	name  string
	check func(*checker, context.Context) error
}

func runParts(t *testing.T, c Case, parts []part) {
	t.Helper()
	k := newChecker(c)
	for _, p := range parts {
		ok := t.Run(p.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := p.check(k, ctx); err != nil {
				t.Errorf("%s: %v", c.Kind.Name, k.redact(err.Error()))
			}
			if err := k.leaks(); err != nil {
				t.Errorf("%s: %v", c.Kind.Name, err)
			}
		})
		if !ok {
			return
		}
	}
}
