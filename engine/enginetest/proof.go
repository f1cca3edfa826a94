package enginetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/ztplan/ztplan/engine"
)

// Edits applies the edits of a proof as a run does, and keeps their paths. A test
// passes its Apply to a proof as [engine.Env.Apply].
type Edits struct {
	// Declared are the changes that the proof may make.
	Declared []engine.Edit

	// Writes, optional, counts the mutating requests that were sent.
	Writes func() int

	mu      sync.Mutex
	applied []string // paths of those that took effect
	refused []string // and of those that did not
	running int      // edits being applied
	seen    int      // writes when the last of them ended
	beside  int      // writes while none was
	faults  []error
}

// Begin empties the lists of edits: a proof is about to run.
func (e *Edits) Begin() {
	e.applied, e.refused, e.running, e.beside, e.faults = nil, nil, 0, 0, nil
	e.seen = e.writes()
}

// Apply applies an edit that is declared.
func (e *Edits) Apply(ctx context.Context, edit engine.Edit) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !engine.Declared(e.Declared, edit.Path) {
		err := engine.Permanent(fmt.Errorf("%s is changed and not declared", edit.Path))
		e.mu.Lock()
		defer e.mu.Unlock()
		e.faults = append(e.faults, err)
		return err
	}
	e.begin(edit)
	err := edit.Apply(engine.AllowWrites(ctx))
	e.end(edit, err)
	return err
}

func (e *Edits) begin(edit engine.Edit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := wellFormed([]engine.Edit{edit}); err != nil {
		e.faults = append(e.faults, err)
	}
	if e.running++; e.running == 1 {
		e.beside += e.writes() - e.seen
	}
}

func (e *Edits) end(edit engine.Edit, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running--; e.running == 0 {
		e.seen = e.writes()
	}
	if err != nil {
		e.refused = append(e.refused, edit.Path)
	} else {
		e.applied = append(e.applied, edit.Path)
	}
}

// Applied returns the paths of the edits that took effect, in the order in which
// they ended.
func (e *Edits) Applied() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.applied)
}

// Refused returns the paths of the edits that failed.
func (e *Edits) Refused() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.refused)
}

// Check returns the faults of the proof: an edit that was not declared or is not well
// formed, or writes beside the edits.
func (e *Edits) Check() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	faults := slices.Clone(e.faults)
	if n := e.beside + e.writes() - e.seen; n != 0 {
		faults = append(faults, fmt.Errorf("wrote %d times beside its edits", n))
	}
	return errors.Join(faults...)
}

func (e *Edits) writes() int {
	if e.Writes == nil {
		return 0
	}
	return e.Writes()
}

// changes checks the declared changes of a proof.
func (k *checker) changes(context.Context) error {
	spec := k.Spec()
	declared := k.Kind.Changes(spec)
	k.record.plant(secretsIn(spec)...)
	k.record.edits(declared)
	for _, e := range declared {
		if e.Apply != nil || e.Await != nil || e.Have != nil {
			return fmt.Errorf("a declared change has a path, the outcome and a note: %s has more", e.Path)
		}
	}
	if again := k.Kind.Changes(k.Spec()); !reflect.DeepEqual(declared, again) {
		return errors.New("asked twice, the proof does not declare the same")
	}
	k.edits.Declared = declared
	return wellFormed(declared)
}
