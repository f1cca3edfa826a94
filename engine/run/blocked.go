package run

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// longestBlockedLook bounds a look at a blocked step: it may wait for a server that
// only answers after the steps before it.
const longestBlockedLook = 15 * time.Second

// lookBlocked is the dry run of a blocked step: one look at the present state. Its
// differences are reported like any other. An error is no failure, since the steps
// before may remove its reason, unless the plan itself is wrong or the run is
// interrupted.
func (s *stepRun) lookBlocked(ctx context.Context, outputs Outputs) (out outcome) {
	s.held = new(held)
	if err := engine.Try(func() error { out = s.glance(ctx, outputs); return nil }); err != nil {
		out = s.unknown(err)
		s.emit(engine.Event{Action: engine.ActionWarn, Message: err.Error() + engine.HintOf(err)})
	}
	return out
}

func (s *stepRun) glance(ctx context.Context, outputs Outputs) outcome {
	spec, runs, err := s.inputs(outputs)
	if err == nil && !runs { // for now: whether the step is skipped is known later
		err = errors.New("its condition (when) is false as things are")
	}
	if err != nil {
		return s.unknown(err)
	}
	if err := s.prepare(spec); err != nil {
		return s.failed("", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, min(s.node.Policy.Timeout, longestBlockedLook), errTimeout)
	defer cancel()
	facts, edits, err := s.node.Kind.Inspect(ctx, spec, &s.env)
	s.conceal(facts)
	if err != nil {
		if ctx.Err() != nil && !errors.Is(context.Cause(ctx), errTimeout) {
			return s.stopped(ctx, err, nil)
		}
		if errors.Is(err, engine.ErrPlan) {
			s.release(engine.ActionWarn)
			return s.failed("", err)
		}
		return s.unknown(err)
	}
	s.release(engine.ActionWarn)
	if len(edits) == 0 {
		return outcome{state: Unchanged, outputs: facts}
	}
	return s.found(facts, edits)
}

// unknown is the outcome of a blocked look that found out nothing. Why is detail.
func (s *stepRun) unknown(err error) outcome {
	s.release(engine.ActionLog)
	s.emit(engine.Event{Action: engine.ActionLog, Message: "looked, and it cannot be told yet: " + err.Error()})
	return outcome{state: After}
}

// release sends on the warnings that a blocked look held back, as warnings or as detail.
func (s *stepRun) release(as engine.Action) {
	events := s.held.take()
	s.held = nil
	for _, ev := range events {
		if ev.Action == engine.ActionWarn {
			ev.Action = as
		} else if as != engine.ActionWarn {
			continue // a record of a look that failed
		}
		s.emit(ev)
	}
}

// held keeps warnings and records of a blocked look until it is known whether the look
// succeeded: a warning by a look that fails is about a world that will not stay.
// The nil pointer holds nothing.
type held struct {
	mu     sync.Mutex
	events []engine.Event
}

func (h *held) hold(ev *engine.Event) bool {
	if h == nil || ev.Action != engine.ActionWarn && ev.Action != engine.ActionEvidence {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, *ev)
	return true
}

func (h *held) take() []engine.Event {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events
}
