package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/redact"
)

// stepRun is one step while it runs, in a goroutine of its own.
type stepRun struct {
	node     *Node
	index    int
	opts     *Options
	redactor *redact.Redactor
	settled  *redact.Redactor // may be nil
	gate     *gate
	ledger   *ledger
	makers   *makers
	messages chan<- message

	env     engine.Env
	life    context.Context // of the run; the step's own ends sooner
	attempt int             // of a proof
	retries int
	server  string // that it changes beside the target, "" for none
	early   bool   // its edits were found before the gate was open

	mu      sync.Mutex      // a proof applies edits and reports from several goroutines
	applied int             // edits
	doing   string          // the newest activity
	shown   map[string]bool // paths of edits that were announced
	waited  string          // the message of the last wait event
	repeats repeats         // of the error of the tries
	held    *held           // of a blocked look
}

func (s *stepRun) emit(ev engine.Event) {
	ev.Step, ev.Kind = s.node.ID, s.node.Kind.Name
	if s.held.hold(&ev) {
		return
	}
	s.messages <- message{index: s.index, event: &ev}
}

// run never panics: a panic in a step, or in a goroutine that it waits for, is
// that step's permanent error, and its text has the stack.
func (s *stepRun) run(ctx context.Context, outputs Outputs) (out outcome) {
	if err := engine.Try(func() error { out = s.work(ctx, outputs); return nil }); err != nil {
		out = s.failed("", err)
	}
	out.edits, out.retries = s.applied, s.retries
	return out
}

func (s *stepRun) work(ctx context.Context, outputs Outputs) outcome {
	s.life = ctx
	spec, runs, err := s.inputs(outputs)
	switch {
	case err != nil:
		return s.failed("", err)
	case !runs:
		return outcome{state: Skipped, reason: "its condition (when) is false"}
	}
	if err := s.prepare(spec); err != nil {
		return s.failed("", err)
	}
	if u, ok := spec.(engine.ServerUser); ok {
		s.server = u.ServerID()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.node.Policy.Timeout, errTimeout)
	defer cancel()
	switch {
	case s.opts.Mode == DryRun:
		return s.look(ctx, spec)
	case s.node.Kind.Proof:
		return s.prove(ctx, spec)
	default:
		return s.converge(ctx, spec)
	}
}

// inputs returns the spec of the step. runs is false if the step's condition is.
func (s *stepRun) inputs(outputs Outputs) (spec any, runs bool, err error) {
	if s.node.When != nil {
		if runs, err = s.node.When(outputs); err != nil || !runs {
			return nil, false, err
		}
	}
	spec, err = s.node.Spec(outputs)
	return spec, true, err
}

// conceal adds every secret in v to the redaction.
func (s *stepRun) conceal(v any) {
	s.redactor.AddFrom(v)
	if s.settled != nil {
		s.settled.AddFrom(v)
	}
}

// prepare makes the environment of the step and compares the claims of the step, now
// that all its inputs are known, with those of other steps.
func (s *stepRun) prepare(spec any) error {
	s.conceal(spec)
	s.env = s.opts.Env
	s.env.Step = s.node.ID
	s.env.Conceal = func(secrets ...engine.Secret) { s.conceal(secrets) }
	s.env.Record = func(name string, data any) {
		s.emit(engine.Event{Action: engine.ActionEvidence, Name: name, Data: data})
	}
	if s.opts.Mode == Apply { // the findings of a dry run must not depend on which step is looked at first
		s.env.MayCome = func(thing string) bool { return s.makers.mayCome(s.index, thing) }
	}
	s.env.Logf = s.logger(engine.ActionLog)
	status := s.logger(engine.ActionStatus)
	s.env.Statusf = func(format string, args ...any) {
		s.does(fmt.Sprintf(format, args...))
		status(format, args...)
	}
	s.env.Warnf = s.logger(engine.ActionWarn)
	if c, is := spec.(engine.Claimer); is {
		return s.env.Claim(c.Claims(s.env.Plan, nil))
	}
	return nil
}

// does keeps the activity of the step, for an interrupt.
func (s *stepRun) does(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doing = what
}

// activity returns the first line of the text that does was last called with.
func (s *stepRun) activity() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	line, _, _ := strings.Cut(s.doing, "\n")
	return line
}

var errTimeout = errors.New("the step's timeout is over")

func (s *stepRun) logger(action engine.Action) func(string, ...any) {
	return func(format string, args ...any) {
		s.emit(engine.Event{Action: action, Message: fmt.Sprintf(format, args...)})
	}
}

func (s *stepRun) failed(path string, err error) outcome {
	return outcome{state: Failed, err: s.node.failure(path, err, s.redactor)}
}

// look is the dry run of a step that configures.
func (s *stepRun) look(ctx context.Context, spec any) outcome {
	p := s.pauses()
	for {
		out, edits, err := s.node.Kind.Inspect(ctx, spec, &s.env)
		s.conceal(out)
		switch {
		case err == nil && len(edits) == 0:
			return outcome{state: Unchanged, outputs: out}
		case err == nil:
			s.applied = len(edits)
			return s.found(out, edits)
		case ctx.Err() != nil:
			return s.stopped(ctx, err, nil)
		case errors.Is(err, engine.ErrPermanent), s.node.Policy.Attempts > 0 && s.retries+1 >= s.node.Policy.Attempts:
			return s.failed("", err)
		}
		s.retry(err)
		if !p.pause(ctx) {
			return s.stopped(ctx, err, nil)
		}
	}
}

// found reports the edits that a dry run found in a step.
func (s *stepRun) found(outputs any, edits []engine.Edit) outcome {
	for _, e := range edits {
		s.announce(e)
	}
	out := outcome{state: Pending, outputs: outputs, found: edits, edits: len(edits), awaited: engine.AwaitedOf(edits)}
	if out.awaited != nil {
		out.state = Awaiting
	}
	return out
}

// apply applies one edit. It outlives an interrupt by the grace, so that an
// edit is not cut in half by the first Ctrl-C.
func (s *stepRun) apply(ctx context.Context, e engine.Edit, attempt int) error {
	if !s.node.Kind.Proof {
		if err := s.ledger.check(s.node.ID, s.server, e); err != nil {
			return err
		}
	}
	if err := s.intend(ctx, e.Path, attempt); err != nil {
		return err
	}
	ev := engine.Event{Action: engine.ActionApply, Proof: s.node.Kind.Proof, Attempt: attempt, Path: e.Path, Message: e.Note}
	s.emit(ev)
	began := time.Now()
	actx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(s.killed(), func() { cancel(context.Canceled) })()
	defer context.AfterFunc(ctx, func() {
		// Only the end of the run gives grace, not a limit of the step or of a proof.
		if cause := context.Cause(ctx); !errors.Is(cause, context.Cause(s.life)) {
			cancel(cause)
			return
		}
		if engine.Pause(actx, s.opts.Grace) == nil {
			cancel(context.Canceled)
		}
	})()
	wctx := engine.AllowWrites(actx)
	if s.opts.Fence != nil {
		enclosed, release := s.opts.Fence.Enclose(wctx)
		defer release()
		wctx = enclosed
	}
	err := engine.WriteCheck(wctx) // the process may have been stopped since the fence
	if err == nil {
		err = engine.Try(func() error { return e.Apply(wctx) })
	}
	ev.Message, ev.Seconds = "", time.Since(began).Seconds()
	if err != nil && !errors.Is(err, engine.ErrNoEffect) && (wctx.Err() != nil || errors.As(err, new(*engine.PanicError))) {
		ev.Action, ev.Error = engine.ActionUnknown, err.Error()
		_ = s.journal(ev)
		s.emit(ev)
		return err
	}
	ev.Action = engine.ActionApplied
	if err != nil {
		ev.Action, ev.Error = engine.ActionFail, err.Error()
		_ = s.journal(ev)
		return err
	}
	_ = s.journal(ev)
	if !s.node.Kind.Proof {
		s.ledger.add(s.node.ID, s.server, e)
	}
	s.mu.Lock()
	s.applied++
	s.mu.Unlock()
	s.emit(ev)
	return nil
}

// change applies an edit of a proof within its declared changes; see
// [engine.Env].
func (s *stepRun) change(ctx context.Context, declared []engine.Edit, e engine.Edit) error {
	switch cause := context.Cause(s.life); {
	case !engine.Declared(declared, e.Path):
		return engine.Permanent(fmt.Errorf("%s: the proof did not declare that it changes this: a defect of kind %s; nothing was written", e.Path, s.node.Kind.Name))
	case cause != nil && !noCause(cause): // a lost lock
		return cause
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	s.announce(e)
	return s.apply(ctx, e, s.attempt)
}

func (s *stepRun) killed() context.Context {
	if s.opts.Kill != nil {
		return s.opts.Kill
	}
	return context.Background()
}

// prove measures until every rule holds or the attempts are used up.
func (s *stepRun) prove(ctx context.Context, spec any) outcome {
	p := s.pauses()
	declared := s.node.Kind.Changes(spec)
	s.env.Apply = func(ctx context.Context, e engine.Edit) error { return s.change(ctx, declared, e) }
	var reason error
	for attempt := 1; ; attempt++ {
		s.attempt = attempt
		out, findings, err := s.node.Kind.Prove(ctx, spec, &s.env)
		s.conceal(out)
		if err == nil {
			err = engine.Violated(findings)
			if err == nil {
				s.report(findings, attempt)
				return outcome{state: Proved, outputs: out}
			}
		}
		last := s.node.Policy.Attempts > 0 && attempt >= s.node.Policy.Attempts
		if errors.Is(err, engine.ErrPermanent) || last || ctx.Err() != nil {
			s.report(findings, attempt)
			if ctx.Err() != nil {
				if isContext(err) && reason != nil {
					err = reason // why the attempts before this one failed
				}
				return s.stopped(ctx, err, nil)
			}
			return s.failed("", err)
		}
		reason = err
		s.retry(err)
		if !p.pause(ctx) {
			s.report(findings, attempt)
			return s.stopped(ctx, err, nil)
		}
	}
}

func (s *stepRun) report(findings []engine.Finding, attempt int) {
	for _, f := range findings {
		ev := engine.Event{Action: engine.ActionFinding, Attempt: attempt, Path: f.Rule, Have: f.Have, Want: f.Want, Message: f.Detail}
		if !f.Holds {
			ev.Action = engine.ActionViolated
		}
		s.emit(ev)
	}
}

// announce shows an edit the first time it is seen.
func (s *stepRun) announce(e engine.Edit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown[e.Path] {
		return
	}
	if s.shown == nil {
		s.shown = make(map[string]bool)
	}
	s.shown[e.Path] = true
	ev := engine.Event{Action: engine.ActionDiffers, Proof: s.node.Kind.Proof, Path: e.Path, Have: e.Have, Want: marked(e.Have, e.Want), Message: e.Note}
	if e.Apply == nil {
		if s.opts.Mode == Apply {
			return // wait reports it, or the end of the step
		}
		ev.Message = strings.TrimSpace("waits for others " + e.Note)
		if e.Awaits != "" {
			ev.Message = e.Awaiting()
		}
	}
	s.emit(ev)
}

func (s *stepRun) hinted(err error, general string) error {
	return engine.WithHint(err, s.opts.hint(err, general))
}

// wait reports the reason of the step's wait, each time that it changes.
func (s *stepRun) wait(edits []engine.Edit) {
	var parts []string
	for _, e := range edits {
		have, _ := e.Have.(string)
		if remark := cmp.Or(have, e.Note); remark != "" {
			parts = append(parts, e.Path+" ("+remark+")")
		} else {
			parts = append(parts, e.Path)
		}
	}
	if text := strings.Join(parts, "; "); text != s.waited {
		s.waited = text
		s.emit(engine.Event{Action: engine.ActionWait, Message: text})
	}
}
