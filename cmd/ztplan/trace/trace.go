package trace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/ztplan/ztplan/engine"
)

// Options are the settings of a trace.
type Options struct {
	Version string // of ztplan
	DryRun  bool
	Env     func(string) (string, bool)

	// Flush is how long Close waits for spans that are not sent yet; 0 means 5 s.
	Flush time.Duration
}

// A Tracer makes spans from the events of one run. It is used from one
// goroutine, as a run's sink is. A nil one does nothing.
type Tracer struct {
	opts     Options
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	export   *counted
	where    string
	doubt    error // about the environment

	parent  context.Context // of the run
	context context.Context // of the steps
	run     trace.Span      // nil before the first event
	steps   map[string]*step
	order   []string
	failed  []string
	last    time.Time
}

// New returns a Tracer if the environment asks for one, else nil. An error
// means that nothing is traced although it should be.
func New(ctx context.Context, opts Options) (*Tracer, error) {
	env := environment(opts.Env)
	// The SDK would print variables that it does not understand, with
	// the headers, which hold the collector's credentials.
	otel.SetLogger(logr.Discard())
	exporter, where, err := env.exporter(ctx)
	if exporter == nil || err != nil {
		return nil, err
	}
	if opts.Flush <= 0 {
		opts.Flush = 5 * time.Second
	}
	about, doubt := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "ztplan"), attribute.String("service.version", opts.Version)),
		resource.WithFromEnv(),
	)
	export := &counted{next: exporter}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(export), sdk.WithResource(about))
	return &Tracer{
		opts: opts, provider: provider, export: export, where: where, doubt: doubt,
		tracer: provider.Tracer("github.com/ztplan/ztplan", trace.WithInstrumentationVersion(opts.Version)),
		parent: env.parent(context.WithoutCancel(ctx)), steps: make(map[string]*step),
	}, nil
}

// Event takes e in.
func (t *Tracer) Event(e engine.Event) {
	if t == nil {
		return
	}
	t.last = e.Time
	if t.run == nil {
		t.begin(e)
	}
	switch e.Action {
	case engine.ActionPlan:
		t.steps[e.Step] = &step{event: e}
		t.order = append(t.order, e.Step)
	case engine.ActionEnd:
		t.summary(e.Summary)
	case engine.ActionLog, engine.ActionStatus, engine.ActionEvidence:
	default:
		if s := t.steps[e.Step]; s != nil {
			t.step(s, e)
		}
	}
}

func (t *Tracer) begin(e engine.Event) {
	mode := "apply"
	if t.opts.DryRun {
		mode = "dry-run"
	}
	t.context, t.run = t.tracer.Start(t.parent, "run "+e.Plan, trace.WithTimestamp(e.Time), trace.WithAttributes(
		attribute.String("ztplan.plan", e.Plan), attribute.String("ztplan.mode", mode),
	))
}

func (t *Tracer) summary(s *engine.Summary) {
	if s == nil {
		return
	}
	t.run.SetAttributes(
		attribute.String("ztplan.result", string(s.Result)),
		attribute.Int("ztplan.steps.unchanged", s.Unchanged),
		attribute.Int("ztplan.steps.changed", s.Changed),
		attribute.Int("ztplan.steps.proved", s.Proved),
		attribute.Int("ztplan.steps.awaiting", s.Awaiting),
		attribute.Int("ztplan.steps.pending", s.Pending),
		attribute.Int("ztplan.steps.skipped", s.Skipped),
		attribute.Int("ztplan.steps.failed", s.Failed),
		attribute.Int("ztplan.edits", s.Edits),
		attribute.Int("ztplan.retries", s.Retries),
		attribute.StringSlice("ztplan.critical_path", s.CriticalPath),
		attribute.Float64("ztplan.critical_seconds", s.CriticalSeconds),
	)
}

// Close ends the spans that are open, sends the remaining spans, and returns
// the trace's id, "" if nothing was traced. An error means that the trace is
// not complete where it was sent to.
func (t *Tracer) Close(ctx context.Context, interrupted bool) (id string, err error) {
	if t == nil {
		return "", nil
	}
	spans := 0
	if t.run != nil {
		for _, name := range t.order {
			t.leave(t.steps[name])
		}
		switch {
		case interrupted:
			t.run.SetStatus(codes.Error, "interrupted")
		case len(t.failed) > 0:
			t.run.SetStatus(codes.Error, failures(t.failed))
		}
		t.run.End(trace.WithTimestamp(t.last))
		if c := t.run.SpanContext(); c.IsSampled() {
			id, spans = c.TraceID().String(), 1+len(t.order)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, t.opts.Flush)
	defer cancel()
	err = t.provider.Shutdown(ctx)
	if sent, why := t.export.result(); sent < spans {
		switch {
		case why != nil:
			err = why
		case ctx.Err() != nil:
			err = fmt.Errorf("no answer within %s", t.opts.Flush)
		case err == nil:
			err = errors.New("the queue was full, see OTEL_BSP_MAX_QUEUE_SIZE")
		}
		err = fmt.Errorf("%d of %d spans were not taken by %s: %w", spans-sent, spans, t.where, err)
	}
	return id, errors.Join(t.doubt, err)
}

// Where returns where the spans go: "http://collector:4318".
func (t *Tracer) Where() string { return t.where }
