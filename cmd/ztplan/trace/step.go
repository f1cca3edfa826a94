package trace

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/ztplan/ztplan/engine"
)

// A step is the state of one step of the run.
type step struct {
	event   engine.Event // that announced it
	span    trace.Span   // nil before it has one
	state   string       // "" until it ended
	edits   int
	retries int
	would   bool // the proof of a dry run
	last    time.Time
}

// step takes in an event of a step that is about to begin, or under way.
func (t *Tracer) step(s *step, e engine.Event) {
	if s.span == nil {
		t.open(s, e.Time)
	}
	s.last = e.Time
	switch e.Action {
	case engine.ActionStart:
		return
	case engine.ActionUnchanged, engine.ActionChanged, engine.ActionProved, engine.ActionAwaiting, engine.ActionPending, engine.ActionAfter:
		t.close(s, string(e.Action), e)
		return
	case engine.ActionSkip:
		t.close(s, "skipped", e)
		return
	case engine.ActionFail:
		t.failed = append(t.failed, e.Step)
		s.span.SetStatus(codes.Error, e.Error)
		t.close(s, "failed", e)
		return
	case engine.ActionDiffers:
		if t.opts.DryRun {
			s.edits++
		}
	case engine.ActionApplied:
		s.edits++
	case engine.ActionRetry:
		s.retries++
	case engine.ActionWould:
		s.would = true
	}
	s.span.AddEvent(string(e.Action), trace.WithTimestamp(e.Time), trace.WithAttributes(details(e)...))
}

func (t *Tracer) open(s *step, at time.Time) {
	var links []trace.Link
	for _, need := range s.event.Needs {
		if other := t.steps[need]; other != nil && other.span != nil {
			links = append(links, trace.Link{SpanContext: other.span.SpanContext()})
		}
	}
	_, s.span = t.tracer.Start(t.context, "step "+s.event.Step, trace.WithTimestamp(at), trace.WithLinks(links...), trace.WithAttributes(
		attribute.String("ztplan.plan", s.event.Plan),
		attribute.String("ztplan.step.id", s.event.Step),
		attribute.String("ztplan.step.kind", s.event.Kind),
		attribute.String("ztplan.step.position", s.event.Position),
	))
}

func (t *Tracer) close(s *step, state string, e engine.Event) {
	s.state = state
	s.span.SetAttributes(
		attribute.String("ztplan.step.state", state),
		attribute.Int("ztplan.step.edits", s.edits),
		attribute.Int("ztplan.step.retries", s.retries),
	)
	reason := e.Message
	if reason == "" && state == string(engine.ActionAfter) {
		reason = "known after " + strings.Join(e.Needs, ", ")
	}
	if reason != "" {
		s.span.SetAttributes(attribute.String("ztplan.step.reason", reason))
	}
	if e.Hint != "" {
		s.span.SetAttributes(attribute.String("ztplan.step.hint", e.Hint))
	}
	s.span.End(trace.WithTimestamp(e.Time))
}

// leave ends a step that no event ended: the proof of a dry run, or one whose
// turn did not come.
func (t *Tracer) leave(s *step) {
	switch {
	case s.state != "":
	case s.would:
		t.close(s, "would", engine.Event{Time: s.last})
	default:
		if s.span == nil {
			t.open(s, t.last)
		}
		t.close(s, "skipped", engine.Event{Time: t.last, Message: "the run ended before its turn"})
	}
}

// details returns the fields of an event as attributes.
func details(e engine.Event) []attribute.KeyValue {
	var out []attribute.KeyValue
	text := func(key, value string) {
		if value != "" {
			out = append(out, attribute.String("ztplan."+key, value))
		}
	}
	path := "path"
	if e.Action == engine.ActionFinding || e.Action == engine.ActionViolated {
		path = "rule"
		text("have", plain(e.Have))
		text("want", plain(e.Want))
	}
	text(path, e.Path)
	text("message", e.Message)
	text("error", e.Error)
	text("hint", e.Hint)
	if e.Attempt > 0 {
		out = append(out, attribute.Int("ztplan.attempt", e.Attempt))
	}
	if e.Seconds > 0 {
		out = append(out, attribute.Float64("ztplan.seconds", e.Seconds))
	}
	return out
}

// plain returns a value as people would write it: a text as it is, anything
// else as JSON.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func failures(ids []string) string {
	if len(ids) == 1 {
		return "step " + ids[0] + " failed"
	}
	return fmt.Sprintf("%d steps failed: %s", len(ids), strings.Join(ids, ", "))
}
