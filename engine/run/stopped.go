package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// stopped explains a step that ran out of time or was interrupted; last is the
// newest reason why it was not done, if there is one, and waits are the edits that it
// waited for.
func (s *stepRun) stopped(ctx context.Context, last error, waits []engine.Edit) outcome {
	cause := context.Cause(ctx)
	switch {
	case !errors.Is(cause, errTimeout) && noCause(cause):
		return s.failed("", s.interrupted(last, waits))
	case !errors.Is(cause, errTimeout):
		return s.failed("", cause) // the caller's reason for the end
	}
	after := engine.Duration(s.node.Policy.Timeout)
	switch {
	case len(waits) > 0:
		err := fmt.Errorf("not done after %s: still waiting for %s", after, paths(waits))
		return s.failed("", engine.WithHint(err, cmp.Or(hintOf(waits), s.opts.hint(err,
			"look at the objects named here; raise the step's timeout if they only need longer"))))
	case last != nil:
		return s.failed("", s.hinted(fmt.Errorf("not done after %s: %w%s", after, last, s.repeats.times(last)),
			"raise the step's timeout if the cause goes away by itself"))
	}
	return s.failed("", fmt.Errorf("not done after %s", after))
}

// Again is the hint for an interrupted run.
const Again = "run the same command again: it looks at what is there and goes on"

// interrupted is the error of a step that was interrupted: it keeps the reason why the
// step was not done by then, because that may be why it was interrupted.
func (s *stepRun) interrupted(last error, waits []engine.Edit) error {
	if last != nil && isContext(last) {
		last = nil
	}
	e := &interruption{err: last}
	switch {
	case len(waits) == 1 && waits[0].Have != nil:
		e.during = fmt.Sprintf("waiting for %s: %v", waits[0].Path, waits[0].Have)
	case len(waits) > 0:
		e.during = "waiting for " + paths(waits)
	case last != nil:
		e.during = "waiting for another try: " + last.Error() + s.repeats.times(last)
	default:
		e.during = s.activity()
	}
	hint := cmp.Or(hintOf(waits), engine.HintOf(last), s.opts.knownHint(e.Error()))
	return engine.WithHint(e, cmp.Or(hint, Again))
}

// An interruption is the error of a step that was interrupted: a context.Canceled, and
// also err.
type interruption struct {
	during string // the activity, which may be "waiting for …"; may be empty
	err    error  // why the step was not done; may be nil
}

func (e *interruption) Error() string {
	switch {
	case e.during == "":
		return "interrupted: " + context.Canceled.Error()
	case strings.HasPrefix(e.during, "waiting for "):
		return "interrupted while " + e.during
	}
	return "interrupted during: " + e.during
}

func (e *interruption) Unwrap() error { return e.err }

// Is reports that an interruption is the end of the run's context.
func (e *interruption) Is(target error) bool { return target == context.Canceled }

// hintOf returns the first hint of edits.
func hintOf(edits []engine.Edit) string {
	for _, e := range edits {
		if e.Hint != "" {
			return e.Hint
		}
	}
	return ""
}
