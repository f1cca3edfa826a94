package run

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/ztplan/ztplan/engine"
)

// A Journal records every edit, by the goroutine of its step, before and
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

// gate holds the checks before the first edit of a run.
type gate struct {
	turn   chan struct{} // holds one token; who has it may look at the rest
	closed error         // for good
	open   atomic.Bool   // is set by who has the token
	moved  bool          // others may have written before it was open
}

// errOld refuses an edit that was found before the run had its lock, if another
// run had it meanwhile.
var errOld = errors.New("looked at before the run had its lock")

func newGate() *gate {
	g := &gate{turn: make(chan struct{}, 1)}
	g.turn <- struct{}{}
	return g
}

// pass calls BeforeFirstWrite until it returned nil once, one caller at a time. A
// permanent error is every later caller's, too.
func (g *gate) pass(ctx context.Context, opts *Options, report func(string)) error {
	first := opts.BeforeFirstWrite
	if first == nil {
		return nil
	}
	select {
	case <-g.turn:
		defer func() { g.turn <- struct{}{} }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if g.open.Load() || g.closed != nil {
		return g.closed
	}
	err := first(engine.AllowWrites(ctx), report)
	if errors.Is(err, engine.ErrPermanent) {
		g.closed = err
	}
	if err == nil {
		g.moved = opts.Fence != nil && opts.Fence.Moved()
		g.open.Store(true)
	}
	if err == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// intend prepares an edit: the gate, the fence, then the journal.
func (s *stepRun) intend(ctx context.Context, path string, attempt int) error {
	report := func(text string) {
		s.does("waiting for " + text)
		s.emit(engine.Event{Action: engine.ActionWait, Message: text})
	}
	if err := s.gate.pass(ctx, s.opts, report); err != nil {
		return err
	}
	if s.early && s.gate.moved {
		return errOld
	}
	if s.opts.Fence != nil {
		if err := s.opts.Fence.Wait(ctx, report); err != nil {
			return err
		}
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
