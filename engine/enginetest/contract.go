package enginetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/ztplan/ztplan/engine"
)

const (
	// promptly is how long a cancelled call may take to return.
	promptly = 5 * time.Second
	// pollInterval is the pause before the next look at a difference without Await.
	pollInterval = 50 * time.Millisecond
	// maxEdits ends a step that finds a new difference after every edit.
	maxEdits = 1000
)

type checker struct {
	Case
	env     *engine.Env
	record  *record
	outputs any    // of the converged step
	edits   *Edits // of a proof
}

func newChecker(c Case) *checker {
	k := &checker{Case: c, record: &record{}}
	k.record.plant(c.Secrets...)
	k.env = k.record.listen(c.Env)
	if k.edits = (&Edits{Writes: c.Writes}); c.Kind.Proof {
		k.env.Apply = func(ctx context.Context, e engine.Edit) error {
			k.record.edits([]engine.Edit{e})
			return k.edits.Apply(ctx, e)
		}
	}
	return k
}

// inspect looks with a fresh spec and records all texts of the step.
func (k *checker) inspect(ctx context.Context) (any, []engine.Edit, error) {
	spec := k.Spec()
	k.record.plant(secretsIn(spec)...)
	out, edits, err := k.Kind.Inspect(ctx, spec, k.env)
	k.record.plant(secretsIn(out)...)
	k.record.edits(edits)
	k.record.err(err)
	if err == nil {
		err = owned(spec, edits)
	}
	return out, edits, err
}

// owned checks that an [engine.Owner] owns all edits of its step.
func owned(spec any, edits []engine.Edit) error {
	o, ok := spec.(engine.Owner)
	if !ok {
		return nil
	}
	owns := o.Owns(nil)
	if owns == nil {
		return engine.Permanent(errors.New("with all inputs known the spec cannot say what it owns"))
	}
	for _, e := range edits {
		if e.Apply != nil && !owns(e.Path) {
			return engine.Permanent(fmt.Errorf("the step makes %s and says that it does not", e.Path))
		}
	}
	return nil
}

func (k *checker) reset(ctx context.Context) error {
	return k.Reset(engine.AllowWrites(ctx))
}

func (k *checker) look(ctx context.Context) error {
	before := k.edits.writes()
	_, first, err := k.inspect(ctx)
	if err != nil {
		return fmt.Errorf("the first look: %w", err)
	}
	_, second, err := k.inspect(ctx)
	if err != nil {
		return fmt.Errorf("the second look: %w", err)
	}
	if n := k.edits.writes() - before; n != 0 {
		return fmt.Errorf("looking wrote %d times", n)
	}
	if len(first) == 0 {
		return errors.New("the first look finds nothing to do, and a contract that applies nothing proves nothing")
	}
	if d := difference(first, second); d != "" {
		return fmt.Errorf("looking twice does not find the same: %s", d)
	}
	return wellFormed(first)
}

// wellFormed checks the rules for every list of edits.
func wellFormed(edits []engine.Edit) error {
	seen := make(map[string]bool)
	for i, e := range edits {
		switch {
		case e.Path == "":
			return fmt.Errorf("edit %d has no path", i)
		case seen[e.Path]:
			return fmt.Errorf("two edits have the path %s", e.Path)
		case reflect.DeepEqual(e.Have, e.Want):
			return fmt.Errorf("edit %s shows no difference: both are %v", e.Path, e.Have)
		case e.Apply != nil && e.Await != nil:
			return fmt.Errorf("edit %s has both Apply and Await: Await is never called", e.Path)
		case e.Awaits != "" && (e.Apply != nil || e.Await != nil):
			return fmt.Errorf("edit %s awaits what a person has to give, and has Apply or Await: the run calls neither", e.Path)
		case e.Awaits != "" && e.Hint == "":
			return fmt.Errorf("edit %s awaits %s and does not say what is to be done", e.Path, e.Awaits)
		case e.Meanwhile && e.Awaits == "":
			return fmt.Errorf("edit %s serves meanwhile and awaits nothing", e.Path)
		}
		seen[e.Path] = true
		for _, v := range []any{e.Have, e.Want} {
			if err := plain(reflect.ValueOf(v)); err != nil {
				return fmt.Errorf("edit %s: %w", e.Path, err)
			}
		}
	}
	return nil
}

func (k *checker) cancelledLook(ctx context.Context) error {
	return k.cancelled(ctx, func(ctx context.Context) error {
		_, _, err := k.inspect(ctx)
		return err
	})
}

func (k *checker) cancelledProof(ctx context.Context) error {
	return k.cancelled(ctx, func(ctx context.Context) error {
		_, _, err := k.proveOnce(ctx)
		return err
	})
}

// cancelled requires that call returns soon when its context is cancelled
// before it begins. It may succeed: a result that needs no request is fine.
func (k *checker) cancelled(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	done := make(chan error, 1)
	go func() { done <- call(ctx) }()
	select {
	case err := <-done:
		if errors.Is(err, engine.ErrPermanent) {
			return fmt.Errorf("a cancelled call is said to be beyond hope: %w", err)
		}
		return nil
	case <-time.After(promptly):
		return fmt.Errorf("a cancelled call does not return within %v", promptly)
	}
}

// inOneGo applies all edits of a look before the next one.
func (k *checker) inOneGo(ctx context.Context) error {
	return k.converge(ctx, 1, func(edits []engine.Edit) []engine.Edit { return edits })
}

// editByEdit looks again after every edit. It passes through every state that
// a killed run can leave between two edits, and ends converged.
func (k *checker) editByEdit(ctx context.Context) error {
	return k.converge(ctx, maxEdits, func(edits []engine.Edit) []engine.Edit {
		for i, e := range edits {
			if e.Apply != nil {
				return edits[i : i+1]
			}
		}
		return nil
	})
}

// converge looks and applies until nothing differs. choose returns the edits of
// a look that are applied.
func (k *checker) converge(ctx context.Context, rounds int, choose func([]engine.Edit) []engine.Edit) error {
	var promises []any // outputs that came with edits
	given := false
	for round := 0; ; {
		out, edits, err := k.inspect(ctx)
		if err != nil {
			if errors.Is(err, engine.ErrPermanent) || ctx.Err() != nil {
				return fmt.Errorf("looking: %w", err)
			}
			if err := k.pause(ctx, nil); err != nil {
				return err
			}
			continue
		}
		if len(edits) == 0 {
			k.outputs = out
			return allKept(promises, out)
		}
		if err := wellFormed(edits); err != nil {
			return err
		}
		if engine.AwaitedOf(edits) != nil {
			if err := errors.Join(allKept(promises, out), k.give(ctx, edits, given)); err != nil {
				return err
			}
			promises, given, round = nil, true, 0
			continue
		}
		promises = append(promises, out)
		if !slices.ContainsFunc(edits, func(e engine.Edit) bool { return e.Apply != nil }) {
			if err := k.pause(ctx, edits); err != nil {
				return err
			}
			continue
		}
		if round == rounds {
			return fmt.Errorf("after %d rounds of applying these still differ: %v", round, describe(edits))
		}
		round++
		for _, e := range choose(edits) {
			if e.Apply == nil {
				continue
			}
			err := e.Apply(engine.AllowWrites(ctx))
			k.record.err(err)
			if err != nil {
				return fmt.Errorf("applying %s: %w", e.Path, err)
			}
		}
	}
}

// give looks again at a step that awaits something, finds the same, and calls Give,
// once.
func (k *checker) give(ctx context.Context, edits []engine.Edit, given bool) error {
	switch {
	case k.Give == nil:
		return fmt.Errorf("the step ends awaiting something, and the case has no Give: %v", describe(edits))
	case given:
		return fmt.Errorf("the step still awaits what it was given: %v", describe(edits))
	}
	_, again, err := k.inspect(ctx)
	if err != nil {
		return fmt.Errorf("looking again at what is awaited: %w", err)
	}
	if d := difference(edits, again); d != "" {
		return fmt.Errorf("the step awaits something else at the next look: %s", d)
	}
	if err := k.Give(engine.AllowWrites(ctx)); err != nil {
		return fmt.Errorf("giving what is awaited: %w", err)
	}
	return nil
}

func allKept(promises []any, final any) error {
	for _, p := range promises {
		if err := kept(p, final, "comes with edits that change it"); err != nil {
			return err
		}
	}
	return nil
}

// kept checks that every promised output that is not empty is the same in the end.
// otherwise is the fault, for the error.
func kept(promised, final any, otherwise string) error {
	p, f := reflect.Indirect(reflect.ValueOf(promised)), reflect.Indirect(reflect.ValueOf(final))
	if p.Kind() != reflect.Struct {
		return nil
	}
	for i := range p.NumField() {
		if !p.Type().Field(i).IsExported() || nothing(p.Field(i)) {
			continue
		}
		if have, want := p.Field(i).Interface(), f.Field(i).Interface(); !equal(have, want) {
			return fmt.Errorf("output %s %s: %v, then %v", p.Type().Field(i).Name, otherwise, have, want)
		}
	}
	return nil
}

// pause waits until another look is worthwhile, as a run does.
func (k *checker) pause(ctx context.Context, waiting []engine.Edit) error {
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	awaited := false
	woken := make(chan struct{}, len(waiting))
	for _, e := range waiting {
		if e.Await != nil {
			awaited = true
			go func() {
				k.record.err(e.Await(wait))
				woken <- struct{}{}
			}()
		}
	}
	var again <-chan time.Time
	if !awaited {
		again = time.After(pollInterval)
	}
	select {
	case <-woken:
		return nil
	case <-again:
		return nil
	case <-ctx.Done():
	}
	return fmt.Errorf("%w; still waiting for: %v", context.Cause(ctx), describe(waiting))
}

func (k *checker) again(ctx context.Context) error {
	before := k.edits.writes()
	out, edits, err := k.inspect(ctx)
	if err != nil {
		return fmt.Errorf("looking at what has converged: %w", err)
	}
	if len(edits) > 0 {
		return fmt.Errorf("what has converged differs again: %v", describe(edits))
	}
	if n := k.edits.writes() - before; n != 0 {
		return fmt.Errorf("looking wrote %d times", n)
	}
	if !equal(out, k.outputs) {
		return fmt.Errorf("outputs of what has converged change from look to look: %v, then %v", k.outputs, out)
	}
	return nil
}

func (k *checker) intent(context.Context) error {
	spec := k.Spec()
	k.record.plant(secretsIn(spec)...)
	lines := k.Kind.Intent(spec)
	for _, l := range lines {
		k.record.add("intent", l)
	}
	if len(lines) == 0 {
		return errors.New("the proof does not say what it would do")
	}
	return nil
}

func (k *checker) prove(ctx context.Context) error {
	k.edits.Begin()
	_, findings, err := k.proveOnce(ctx)
	if err := errors.Join(err, k.edits.Check()); err != nil {
		return err
	}
	if len(findings) == 0 {
		return errors.New("a proof without findings proves nothing")
	}
	seen := make(map[string]bool)
	for _, f := range findings {
		switch {
		case f.Rule == "":
			return errors.New("a finding has no rule")
		case seen[f.Rule]:
			return fmt.Errorf("two findings have the rule %q", f.Rule)
		case !f.Holds:
			return fmt.Errorf("%q does not hold: have %v, want %v: %s", f.Rule, f.Have, f.Want, f.Detail)
		}
		seen[f.Rule] = true
	}
	return nil
}

func (k *checker) proveOnce(ctx context.Context) (any, []engine.Finding, error) {
	spec := k.Spec()
	k.record.plant(secretsIn(spec)...)
	out, findings, err := k.Kind.Prove(ctx, spec, k.env)
	k.record.plant(secretsIn(out)...)
	k.record.findings(findings)
	k.record.err(err)
	return out, findings, err
}
