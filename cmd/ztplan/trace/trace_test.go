package trace_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	wire "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/ztplan/ztplan/cmd/ztplan/trace"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

func number[T any](n T) string { return fmt.Sprint(n) }

const canary = "s.canary-that-nobody-may-see"

// A world has one thing that differs until it was applied, and fails while
// broken is set.
type world struct {
	done, broken bool
	tries        int
}

type facts struct {
	Token engine.Secret `yaml:"token"`
}

func (w *world) Inspect(context.Context, *engine.Env) (facts, []engine.Edit, error) {
	token := facts{engine.NewSecret(canary)}
	if w.broken {
		return token, nil, engine.Permanent(engine.WithHint(errors.New("no way in with "+canary), "find another"))
	}
	if w.done {
		return token, nil, nil
	}
	return token, []engine.Edit{{Path: "the/thing", Want: canary, Apply: func(context.Context) error {
		if w.tries++; w.tries == 1 {
			return errors.New("not yet, " + canary)
		}
		w.done = true
		return nil
	}}}, nil
}

type proof struct{}

func (proof) Intent() []string { return []string{"would measure"} }
func (proof) Prove(context.Context, *engine.Env) (facts, []engine.Finding, error) {
	return facts{}, []engine.Finding{{Rule: "it holds", Holds: true, Have: 3, Want: "at most 5"}}, nil
}

var (
	worldKind = engine.NewKind("world", engine.DefaultPolicy(), func() *world { return new(world) })
	proofKind = engine.NewProof("proof", engine.DefaultPolicy(), func() *proof { return new(proof) })
)

func nodes(w *world) []run.Node {
	policy := engine.DefaultPolicy()
	policy.Delay = time.Nanosecond
	node := func(id string, kind *engine.Kind, spec any, needs ...string) run.Node {
		return run.Node{
			ID: id, Kind: kind, Needs: needs, Policy: policy, Position: "plan.yaml:7:3",
			Spec: func(run.Outputs) (any, error) { return spec, nil }, Preview: func() any { return spec },
		}
	}
	return []run.Node{node("thing", worldKind, w), node("check", proofKind, &proof{}, "thing")}
}

// traced runs a plan under a tracer that reads this process's environment.
func traced(t *testing.T, w *world, mode run.Mode) (events []engine.Event, id string, err error) {
	t.Helper()
	tr, err := trace.New(t.Context(), trace.Options{Version: "v9", DryRun: mode == run.DryRun, Env: os.LookupEnv, Flush: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	res, _ := run.Run(t.Context(), nodes(w), run.Options{
		Mode: mode, Env: engine.Env{Plan: "demo"}, Secrets: []engine.Secret{engine.NewSecret(canary)},
		Sink: func(e engine.Event) { events = append(events, e); tr.Event(e) },
	})
	id, err = tr.Close(t.Context(), res.Interrupted)
	return events, id, err
}

func at(t *testing.T, events []engine.Event, step string, a engine.Action) uint64 {
	t.Helper()
	for _, e := range events {
		if e.Step == step && e.Action == a {
			return uint64(e.Time.UnixNano())
		}
	}
	t.Fatalf("no event %s of step %q", a, step)
	return 0
}

func wantAttributes(t *testing.T, of string, got map[string]string, want ...string) {
	t.Helper()
	for i := 0; i < len(want); i += 2 {
		if got[want[i]] != want[i+1] {
			t.Errorf("%s: %s is %q, want %q", of, want[i], got[want[i]], want[i+1])
		}
	}
}

func TestRunAsSpans(t *testing.T) {
	for _, protocol := range []string{"", "grpc"} {
		t.Run("protocol "+protocol, func(t *testing.T) {
			var r receiver
			endpoint := r.http
			if protocol == "grpc" {
				endpoint = r.grpc
			}
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint(t))
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-scope=team%20a")
			t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=ci")
			events, id, err := traced(t, &world{}, run.Apply)
			if err != nil {
				t.Fatal(err)
			}
			spans, resource := r.got()
			wantAttributes(t, "resource", resource, "service.name", "ztplan", "service.version", "v9", "deployment.environment.name", "ci")
			if got := r.headers.Get("X-Scope"); got != "team a" {
				t.Errorf("header is %q", got)
			}
			root, thing, check := spans["run demo"], spans["step thing"], spans["step check"]
			if root == nil || thing == nil || check == nil || len(spans) != 3 {
				t.Fatalf("spans: %v", spans)
			}
			if got := hex.EncodeToString(root.TraceId); got != id {
				t.Errorf("trace %s was announced as %s", got, id)
			}
			wantAttributes(t, "run", attributes(root.Attributes), "ztplan.plan", "demo", "ztplan.mode", "apply",
				"ztplan.steps.changed", "1", "ztplan.steps.proved", "1", "ztplan.edits", "1", "ztplan.retries", "1", "ztplan.critical_path", "thing,check")
			wantAttributes(t, "thing", attributes(thing.Attributes), "ztplan.plan", "demo", "ztplan.step.id", "thing", "ztplan.step.kind", "world",
				"ztplan.step.state", "changed", "ztplan.step.edits", "1", "ztplan.step.retries", "1", "ztplan.step.position", "plan.yaml:7:3")
			wantAttributes(t, "check", attributes(check.Attributes), "ztplan.step.state", "proved", "ztplan.step.edits", "0")
			for _, s := range []*wire.Span{thing, check} {
				if string(s.ParentSpanId) != string(root.SpanId) || s.Status.GetCode() != wire.Status_STATUS_CODE_UNSET {
					t.Errorf("%s: parent %x, status %v", s.Name, s.ParentSpanId, s.Status)
				}
			}
			if len(check.Links) != 1 || string(check.Links[0].SpanId) != string(thing.SpanId) {
				t.Errorf("check links to %v", check.Links)
			}

			// The times are those of the events.
			for _, c := range []struct {
				of        string
				got, want uint64
			}{
				{"run begins", root.StartTimeUnixNano, at(t, events, "thing", engine.ActionPlan)},
				{"run ends", root.EndTimeUnixNano, at(t, events, "", engine.ActionEnd)},
				{"thing begins", thing.StartTimeUnixNano, at(t, events, "thing", engine.ActionStart)},
				{"thing ends", thing.EndTimeUnixNano, at(t, events, "thing", engine.ActionChanged)},
				{"check ends", check.EndTimeUnixNano, at(t, events, "check", engine.ActionProved)},
			} {
				if c.got != c.want {
					t.Errorf("%s at %d, the event is of %d", c.of, c.got, c.want)
				}
			}
			var names []string
			for _, e := range thing.Events {
				names = append(names, e.Name)
				a := attributes(e.Attributes)
				switch e.Name {
				case "retry":
					wantAttributes(t, "retry", a, "ztplan.attempt", "1")
					if e.TimeUnixNano != at(t, events, "thing", engine.ActionRetry) {
						t.Errorf("retry at %d", e.TimeUnixNano)
					}
				case "applied":
					wantAttributes(t, "applied", a, "ztplan.path", "the/thing")
				}
			}
			if got := strings.Join(names, " "); !strings.Contains(got, "differs") || !strings.Contains(got, "retry") || !strings.HasSuffix(got, "applied") {
				t.Errorf("events of thing: %s", got)
			}
			if len(check.Events) != 1 || check.Events[0].Name != "finding" {
				t.Fatalf("events of check: %v", check.Events)
			}
			wantAttributes(t, "finding", attributes(check.Events[0].Attributes), "ztplan.rule", "it holds", "ztplan.have", "3", "ztplan.want", "at most 5")
			if all := fmt.Sprint(spans); strings.Contains(all, canary) {
				t.Errorf("the secret is in the trace: %s", all)
			}
		})
	}
}

func TestFailure(t *testing.T) {
	var r receiver
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.http(t))
	if _, _, err := traced(t, &world{broken: true}, run.Apply); err != nil {
		t.Fatal(err)
	}
	spans, _ := r.got()
	thing, check, root := spans["step thing"], spans["step check"], spans["run demo"]
	if s := thing.Status; s.GetCode() != wire.Status_STATUS_CODE_ERROR || s.GetMessage() != "no way in with (secret)" {
		t.Errorf("status of the step: %v", s)
	}
	wantAttributes(t, "thing", attributes(thing.Attributes), "ztplan.step.state", "failed", "ztplan.step.hint", "find another")
	wantAttributes(t, "check", attributes(check.Attributes), "ztplan.step.state", "skipped", "ztplan.step.reason", "needs thing, which failed")
	if check.StartTimeUnixNano != check.EndTimeUnixNano {
		t.Error("a step that did not run takes time")
	}
	if s := root.Status; s.GetCode() != wire.Status_STATUS_CODE_ERROR || s.GetMessage() != "step thing failed" {
		t.Errorf("status of the run: %v", s)
	}
}

func TestDryRun(t *testing.T) {
	var r receiver
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", r.http(t)+"/custom")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1") // the special one comes first
	if _, _, err := traced(t, &world{}, run.DryRun); err != nil {
		t.Fatal(err)
	}
	spans, _ := r.got()
	wantAttributes(t, "run", attributes(spans["run demo"].Attributes), "ztplan.mode", "dry-run")
	wantAttributes(t, "thing", attributes(spans["step thing"].Attributes), "ztplan.step.state", "pending", "ztplan.step.edits", "1")
	wantAttributes(t, "check", attributes(spans["step check"].Attributes), "ztplan.step.state", "would")
	if r.paths[0] != "/custom" {
		t.Errorf("sent to %s", r.paths[0])
	}
}

// A CI system that traces itself finds the run in its own trace.
func TestParentFromTheEnvironment(t *testing.T) {
	var r receiver
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.http(t))
	t.Setenv("TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	_, id, err := traced(t, &world{done: true}, run.Apply)
	if err != nil {
		t.Fatal(err)
	}
	spans, _ := r.got()
	if got := hex.EncodeToString(spans["run demo"].ParentSpanId); got != "b7ad6b7169203331" || id != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("parent %s, trace %s", got, id)
	}
}

// An interrupted run: steps that did not begin are in the trace as well.
func TestInterrupted(t *testing.T) {
	var r receiver
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", r.http(t))
	tr, err := trace.New(t.Context(), trace.Options{Env: os.LookupEnv})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tr.Event(engine.Event{Time: now, Action: engine.ActionPlan, Plan: "demo", Step: "late", Kind: "world"})
	tr.Event(engine.Event{Time: now, Action: engine.ActionEnd, Summary: &engine.Summary{Skipped: 1}})
	if _, err := tr.Close(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	spans, _ := r.got()
	wantAttributes(t, "late", attributes(spans["step late"].Attributes), "ztplan.step.state", "skipped")
	if spans["run demo"].Status.GetMessage() != "interrupted" {
		t.Errorf("status: %v", spans["run demo"].Status)
	}
}

func TestNothingUnlessAskedFor(t *testing.T) {
	for name, env := range map[string][]string{
		"nothing set": {},
		"empty":       {"OTEL_EXPORTER_OTLP_ENDPOINT", ""},
		"none":        {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER", "none"},
		"disabled":    {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_SDK_DISABLED", "TRUE"},
	} {
		t.Run(name, func(t *testing.T) {
			tr, err := trace.New(t.Context(), trace.Options{Env: lookup(env)})
			if tr != nil || err != nil {
				t.Errorf("%v, %v", tr, err)
			}
			tr.Event(engine.Event{Action: engine.ActionPlan}) // and does nothing
			if id, err := tr.Close(t.Context(), false); id != "" || err != nil {
				t.Errorf("%q, %v", id, err)
			}
		})
	}
	for want, env := range map[string][]string{
		"not an http or https URL":    {"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"},
		"there is otlp and none":      {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER", "zipkin"},
		"there is http/protobuf and ": {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
	} {
		if tr, err := trace.New(t.Context(), trace.Options{Env: lookup(env)}); tr != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, %v", env, tr, err)
		}
	}
}

func lookup(pairs []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// A collector that fails in any way neither fails nor delays the run, and the
// warning has the address, the number of spans and the reason.
func TestBadCollectors(t *testing.T) {
	const nobody = "http://127.0.0.1:1" // a port that was free a moment ago may have a listener
	answering := func(handle http.HandlerFunc) string {
		s := httptest.NewServer(handle)
		t.Cleanup(s.Close)
		return s.URL
	}
	status := func(code int) string {
		return answering(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "go away", code) })
	}
	free := make(chan struct{})
	hanging := answering(func(http.ResponseWriter, *http.Request) { <-free })
	t.Cleanup(func() { close(free) }) // before the server closes
	const soon, guard = 200 * time.Millisecond, time.Minute
	for name, c := range map[string]struct {
		endpoint string
		flush    time.Duration
		want     string
	}{
		"nobody there": {nobody, guard, "3 of 3 spans were not taken by " + nobody + ": "},
		"refuses":      {status(http.StatusUnauthorized), guard, "401 Unauthorized"},
		"hangs":        {hanging, soon, "no answer within 200ms"},
		"is busy":      {status(http.StatusServiceUnavailable), soon, "3 of 3 spans were not taken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.endpoint)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer "+canary)
			tr, err := trace.New(t.Context(), trace.Options{Env: os.LookupEnv, Flush: c.flush})
			if err != nil {
				t.Fatal(err)
			}
			res, err := run.Run(t.Context(), nodes(&world{}), run.Options{Sink: tr.Event, Env: engine.Env{Plan: "demo"}})
			if err != nil || res.Summary.Proved != 1 {
				t.Errorf("the run: %v, %v", res, err)
			}
			began := time.Now()
			_, err = tr.Close(t.Context(), false)
			// The exporter by itself would wait ten seconds for an answer.
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("Close took %s", took)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

// BenchmarkEvent is the time that the tracer adds to the engine's loop for an
// event.
func BenchmarkEvent(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
	tr, err := trace.New(b.Context(), trace.Options{Env: os.LookupEnv})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	tr.Event(engine.Event{Time: now, Action: engine.ActionPlan, Plan: "demo", Step: "a", Kind: "world"})
	e := engine.Event{Time: now, Action: engine.ActionApplied, Step: "a", Path: "pki/root", Seconds: 0.1}
	for b.Loop() {
		tr.Event(e)
	}
}
