package run

import (
	"context"
	"errors"

	"github.com/ztplan/ztplan/engine"
)

// A Journal is told about every edit, by the goroutine of its step, before and
// after it is applied. It must be safe for concurrent use. Events are redacted.
type Journal interface {
	// Intent is called before an edit is applied (action apply). The edit is
	// applied only once it has returned nil; its error fails the step for good.
	Intent(engine.Event) error

	// Outcome is called after it: action applied; fail, with the error, when
	// the edit was refused; or unknown when it was cut off. A journal that ends
	// with an intent is that of a run that was killed.
	Outcome(engine.Event) error
}

// gate is what the first edit of a run has to pass.
type gate struct {
	turn   chan struct{} // holds one token; who has it may look at the rest
	open   bool
	closed error // for good
}

func newGate() *gate {
	g := &gate{turn: make(chan struct{}, 1)}
	g.turn <- struct{}{}
	return g
}

// pass calls first until it returned nil once, one caller at a time. A
// permanent error is every later caller's, too.
func (g *gate) pass(ctx context.Context, first func(context.Context) error) error {
	if first == nil {
		return nil
	}
	select {
	case <-g.turn:
		defer func() { g.turn <- struct{}{} }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if g.open || g.closed != nil {
		return g.closed
	}
	err := first(engine.AllowWrites(ctx))
	if errors.Is(err, engine.ErrPermanent) {
		g.closed = err
	}
	g.open = err == nil
	if err == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// intend is what happens before an edit is applied: the gate, then the journal.
func (s *stepRun) intend(ctx context.Context, path string, attempt int) error {
	if err := s.gate.pass(ctx, s.opts.BeforeFirstWrite); err != nil {
		return err
	}
	return s.journal(engine.Event{Action: engine.ActionApply, Path: path, Attempt: attempt})
}

// journal writes ev to the journal, if there is one. Its error is permanent.
func (s *stepRun) journal(ev engine.Event) error {
	j := s.opts.Journal
	if j == nil {
		return nil
	}
	ev.Time, ev.Plan = s.opts.Env.Now(), s.opts.Env.Plan
	ev.Step, ev.Kind, ev.Proof = s.node.ID, s.node.Kind.Name, s.node.Kind.Proof
	ev = s.redactor.Event(ev)
	if ev.Action == engine.ActionApply {
		return engine.Permanent(j.Intent(ev))
	}
	if err := j.Outcome(ev); err != nil {
		// The edit is made; a journal that cannot be written stops the next one.
		s.emit(engine.Event{Action: engine.ActionWarn, Message: err.Error()})
	}
	return nil
}
