package run_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// world is a fake of nothing: it is the thing that test steps look at.
type world struct {
	inspect func(context.Context, *engine.Env) (facts, []engine.Edit, error)
	prove   func(context.Context, *engine.Env) (facts, []engine.Finding, error)
}

type facts struct {
	Name  string        `yaml:"name"`
	Token engine.Secret `yaml:"token"`
}

func (w *world) Inspect(ctx context.Context, env *engine.Env) (facts, []engine.Edit, error) {
	return w.inspect(ctx, env)
}

type proof world

func (p *proof) Intent() []string { return []string{"would look"} }
func (p *proof) Prove(ctx context.Context, env *engine.Env) (facts, []engine.Finding, error) {
	return p.prove(ctx, env)
}

var (
	worldKind = engine.NewKind("world", engine.DefaultPolicy(), func() *world { return new(world) })
	proofKind = engine.NewProof("proof", engine.DefaultPolicy(), func() *proof { return new(proof) })
)

func node(id string, needs []string, inspect func(context.Context, *engine.Env) (facts, []engine.Edit, error)) run.Node {
	return run.Node{
		ID: id, Kind: worldKind, Needs: needs, Policy: engine.DefaultPolicy(), Position: "plan.yaml:1:1",
		Spec: func(run.Outputs) (any, error) { return &world{inspect: inspect}, nil },
	}
}

func same(context.Context, *engine.Env) (facts, []engine.Edit, error) {
	return facts{Name: "x"}, nil, nil
}

func proving(id string, prove func(context.Context, *engine.Env) (facts, []engine.Finding, error)) run.Node {
	return run.Node{
		ID: id, Kind: proofKind, Policy: engine.DefaultPolicy(), Position: "plan.yaml:1:1", Preview: func() any { return &proof{} },
		Spec: func(run.Outputs) (any, error) { return &proof{prove: prove}, nil },
	}
}

// toggle is a world with one difference that applying removes.
func toggle(path string, done *atomic.Bool, apply func(context.Context) error) func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
	return func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
		if done.Load() {
			return facts{Name: path}, nil, nil
		}
		return facts{}, []engine.Edit{{Path: path, Want: "on", Apply: func(ctx context.Context) error {
			if apply != nil {
				if err := apply(ctx); err != nil {
					return err
				}
			}
			done.Store(true)
			return nil
		}}}, nil
	}
}

type recorder struct{ events []engine.Event }

func (r *recorder) sink(e engine.Event) { r.events = append(r.events, e) }

// log is the run as "action step path" lines, without those of every run.
func (r *recorder) log() []string {
	var out []string
	for _, e := range r.events {
		switch e.Action {
		case engine.ActionPlan, engine.ActionEnd:
			continue
		}
		line := string(e.Action) + " " + e.Step
		if e.Path != "" {
			line += " " + e.Path
		}
		out = append(out, line)
	}
	return out
}

func (r *recorder) find(a engine.Action) (engine.Event, bool) {
	for _, e := range r.events {
		if e.Action == a {
			return e, true
		}
	}
	return engine.Event{}, false
}

func TestLooksWritesAndLooksAgain(t *testing.T) {
	var rec recorder
	var done atomic.Bool
	writes := 0
	nodes := []run.Node{node("a", nil, toggle("a/x", &done, func(ctx context.Context) error {
		if !engine.WritesAllowed(ctx) {
			t.Error("apply: writes are not allowed")
		}
		writes++
		return nil
	}))}
	res, err := run.Run(t.Context(), nodes, run.Options{Sink: rec.sink})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"start a", "differs a a/x", "apply a a/x", "applied a a/x", "changed a"}
	if d := cmp.Diff(want, rec.log()); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if writes != 1 || res.Steps[0].State != run.Changed || res.Summary.Edits != 1 {
		t.Errorf("writes %d, state %s, edits %d", writes, res.Steps[0].State, res.Summary.Edits)
	}
	rec = recorder{}
	if _, err := run.Run(t.Context(), nodes, run.Options{Sink: rec.sink}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"start a", "unchanged a"}, rec.log()); d != "" {
		t.Errorf("second run (-want +got):\n%s", d)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	var rec recorder
	var done atomic.Bool
	after := node("b", []string{"a"}, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
		return facts{}, nil, errors.New("a is not there yet")
	})
	after.Literal = func() any { return map[string]any{"ttl": "1h"} }
	nodes := []run.Node{
		node("a", nil, toggle("a/x", &done, func(context.Context) error { t.Error("applied"); return nil })),
		after,
		node("c", nil, func(ctx context.Context, _ *engine.Env) (facts, []engine.Edit, error) {
			if engine.WritesAllowed(ctx) {
				t.Error("writes are allowed while looking")
			}
			return facts{}, nil, nil
		}),
		proving("p", nil),
	}
	res, err := run.Run(t.Context(), nodes, run.Options{Mode: run.DryRun, Sink: rec.sink, Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"start a", "differs a a/x", "pending a", "start c", "unchanged c", "would p", "start b", "log b", "after b"}
	got := rec.log()
	if d := cmp.Diff(sorted(want), sorted(got)); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	if res.Summary.Result != engine.ResultDiffers {
		t.Errorf("result %s", res.Summary.Result)
	}
	if e, _ := rec.find(engine.ActionAfter); !cmp.Equal(e.Needs, []string{"a"}) || !cmp.Equal(e.Want, any(map[string]any{"ttl": "1h"})) {
		t.Errorf("after: %+v", e)
	}
}

func TestProofAloneIsNoDifference(t *testing.T) {
	res, err := run.Run(t.Context(), []run.Node{proving("p", nil)}, run.Options{Mode: run.DryRun})
	if err != nil || res.Summary.Result != engine.ResultNotRun {
		t.Fatalf("result %s, err %v", res.Summary.Result, err)
	}
}

func TestStartsTheMomentItsNeedsAreDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := func(d time.Duration) func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return func(ctx context.Context, _ *engine.Env) (facts, []engine.Edit, error) {
				time.Sleep(d)
				return facts{}, nil, nil
			}
		}
		// With level barriers, d would wait for slow: 10 s + 1 s.
		nodes := []run.Node{
			node("slow", nil, took(10*time.Second)),
			node("quick", nil, took(time.Second)),
			node("d", []string{"quick"}, took(8*time.Second)),
		}
		res, err := run.Run(t.Context(), nodes, run.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Summary.WallSeconds; got != 10 {
			t.Errorf("wall = %v s, want 10", got)
		}
		if d := cmp.Diff([]string{"slow"}, res.Summary.CriticalPath); d != "" {
			t.Errorf("critical path (-want +got):\n%s", d)
		}
	})
}

func TestParallelIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		busy := func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Second)
			now.Add(-1)
			return facts{}, nil, nil
		}
		var nodes []run.Node
		for i := range 20 {
			nodes = append(nodes, node(fmt.Sprint("n", i), nil, busy))
		}
		if _, err := run.Run(t.Context(), nodes, run.Options{Parallel: 3}); err != nil {
			t.Fatal(err)
		}
		if most.Load() != 3 {
			t.Errorf("at once: %d, want 3", most.Load())
		}
	})
}

func TestRetryLooksBeforeItWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		present, writes := false, 0
		inspect := func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			if present {
				return facts{}, nil, nil
			}
			return facts{}, []engine.Edit{{Path: "x", Apply: func(context.Context) error {
				writes++
				present = true // it took effect, but the answer was lost
				return errors.New("connection reset")
			}}}, nil
		}
		if _, err := run.Run(t.Context(), []run.Node{node("a", nil, inspect)}, run.Options{Sink: rec.sink}); err != nil {
			t.Fatal(err)
		}
		if writes != 1 {
			t.Errorf("written %d times, want once", writes)
		}
	})
}

func TestAttemptsAndBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		writes := 0
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, []engine.Edit{{Path: "x", Apply: func(context.Context) error { writes++; return errors.New("503") }}}, nil
		})
		n.Policy = engine.Policy{Timeout: time.Hour, Attempts: 4, Delay: time.Second, Backoff: 3, MaxDelay: 5 * time.Second}
		began := time.Now()
		_, err := run.Run(t.Context(), []run.Node{n}, run.Options{})
		if err == nil || !strings.Contains(err.Error(), "plan.yaml:1:1: step a (world): x: 503") {
			t.Errorf("err = %v", err)
		}
		if took := time.Since(began); writes != 4 || took != (1+3+5)*time.Second {
			t.Errorf("%d writes in %s, want 4 in 9s", writes, took)
		}
	})
}

// attempts: 0 is until the timeout, in a dry run, too.
func TestDryRunWithoutABoundOnAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			if looks++; looks < 6 {
				return facts{}, nil, errors.New("503")
			}
			return facts{}, nil, nil
		})
		n.Policy = engine.Policy{Timeout: time.Hour, Attempts: 0, Delay: time.Second, Backoff: 1, MaxDelay: time.Second}
		if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{Mode: run.DryRun}); err != nil || looks != 6 {
			t.Errorf("err = %v after %d looks", err, looks)
		}
	})
}

func TestPermanentErrorStopsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, looks := time.Now(), 0
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			looks++
			return facts{}, nil, engine.WithHint(engine.Permanent(errors.New("keys are lost")), "restore the key file")
		})
		var rec recorder
		_, err := run.Run(t.Context(), []run.Node{n}, run.Options{Sink: rec.sink})
		if err == nil || looks != 1 || time.Since(began) != 0 {
			t.Errorf("err %v, %d looks, took %s", err, looks, time.Since(began))
		}
		if e, ok := rec.find(engine.ActionFail); !ok || e.Hint != "restore the key file" || e.Error != "keys are lost" {
			t.Errorf("fail event: %+v", e)
		}
	})
}

func TestFailureSkipsDependentsOnly(t *testing.T) {
	var rec recorder
	fails := func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
		return facts{}, nil, engine.Permanent(errors.New("no"))
	}
	nodes := []run.Node{
		node("bad", nil, fails), node("bad2", nil, fails),
		node("child", []string{"bad"}, same), node("grandchild", []string{"child"}, same),
		node("other", nil, same), node("othertoo", []string{"other"}, same),
	}
	res, err := run.Run(t.Context(), nodes, run.Options{Sink: rec.sink})
	var got []string
	for _, s := range res.Steps {
		got = append(got, s.ID+" "+string(s.State))
	}
	want := []string{"bad failed", "bad2 failed", "child skipped", "grandchild skipped", "other unchanged", "othertoo unchanged"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if err == nil || !strings.Contains(err.Error(), "step bad (") || !strings.Contains(err.Error(), "step bad2 (") || strings.Contains(err.Error(), "child") {
		t.Errorf("err = %v", err)
	}
	if e, _ := rec.find(engine.ActionSkip); e.Message != "needs bad, which failed" {
		t.Errorf("skip: %q", e.Message)
	}
}

func TestSkipNamesItsCause(t *testing.T) {
	fails := func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
		return facts{}, nil, engine.Permanent(errors.New("no"))
	}
	nodes := []run.Node{
		node("bad", nil, fails), node("bad2", nil, fails),
		node("a", []string{"bad"}, same), node("b", []string{"bad"}, same),
		node("one", []string{"a"}, same), node("two", []string{"a", "b"}, same), node("mixed", []string{"a", "bad", "bad2"}, same),
	}
	reasons := make(map[string]string)
	_, _ = run.Run(t.Context(), nodes, run.Options{Sink: func(e engine.Event) {
		if e.Action == engine.ActionSkip {
			reasons[e.Step] = e.Message
		}
	}})
	for id, want := range map[string]string{"one": "needs a, which was skipped", "two": "needs a and b, which were skipped", "mixed": "needs bad and bad2, which failed"} {
		if reasons[id] != want {
			t.Errorf("%s: %q, want %q", id, reasons[id], want)
		}
	}
}

func TestSkippedNeedIsNoObstacleUnlessItsOutputsAreUsed(t *testing.T) {
	skipped := node("s", nil, same)
	skipped.Skip = "--skip"
	user := node("user", []string{"s"}, same)
	user.Refs = []string{"s"}
	res, err := run.Run(t.Context(), []run.Node{skipped, node("order", []string{"s"}, same), user}, run.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := []run.State{res.Steps[1].State, res.Steps[2].State}; !cmp.Equal(got, []run.State{run.Unchanged, run.Skipped}) {
		t.Errorf("states %v", got)
	}
}

func TestWaitsForOthersUntilTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, []engine.Edit{{Path: "Deployment/default/web", Have: "0 of 1 available"}}, nil
		})
		n.Policy.Timeout = time.Minute
		began := time.Now()
		_, err := run.Run(t.Context(), []run.Node{n}, run.Options{})
		if err == nil || !strings.Contains(err.Error(), "not done after 1m: still waiting for Deployment/default/web (0 of 1 available)") {
			t.Errorf("err = %v", err)
		}
		if took := time.Since(began); took != time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

func TestAwaitWakesTheStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ready atomic.Bool
		change := make(chan struct{})
		go func() { time.Sleep(3 * time.Second); ready.Store(true); close(change) }()
		looks := 0
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			if looks++; ready.Load() {
				return facts{}, nil, nil
			}
			return facts{}, []engine.Edit{{Path: "x", Await: func(ctx context.Context) error {
				select {
				case <-change:
				case <-ctx.Done():
				}
				return nil
			}}}, nil
		})
		began := time.Now()
		if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 3*time.Second || looks != 2 {
			t.Errorf("took %s and %d looks, want 3s and 2", took, looks)
		}
	})
}

func TestInterruptFinishesTheRunningEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var rec recorder
		second := false
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, []engine.Edit{
				{Path: "one", Apply: func(ctx context.Context) error { cancel(); time.Sleep(5 * time.Second); return ctx.Err() }},
				{Path: "two", Apply: func(context.Context) error { second = true; return nil }},
			}, nil
		})
		res, err := run.Run(ctx, []run.Node{n, node("b", []string{"a"}, same)}, run.Options{Sink: rec.sink})
		if err == nil || !res.Interrupted || second {
			t.Errorf("err %v, interrupted %v, second edit applied: %v", err, res.Interrupted, second)
		}
		if _, ok := rec.find(engine.ActionApplied); !ok {
			t.Error("the running edit was not finished")
		}
	})
}

func TestInterruptRecordsAnUnfinishedEditAsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var rec recorder
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, []engine.Edit{{Path: "one", Apply: func(ctx context.Context) error { cancel(); <-ctx.Done(); return ctx.Err() }}}, nil
		})
		began := time.Now()
		if _, err := run.Run(ctx, []run.Node{n}, run.Options{Sink: rec.sink, Grace: 7 * time.Second}); err == nil {
			t.Error("no error")
		}
		if _, ok := rec.find(engine.ActionUnknown); !ok || time.Since(began) != 7*time.Second {
			t.Errorf("unknown recorded: %v, after %s", ok, time.Since(began))
		}
	})
}

func TestProofRunsUntilItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		tries := 0
		p := proving("p", func(context.Context, *engine.Env) (facts, []engine.Finding, error) {
			tries++
			return facts{}, []engine.Finding{{Rule: "status is 200", Holds: tries == 3, Have: 404}}, nil
		})
		if _, err := run.Run(t.Context(), []run.Node{p}, run.Options{Sink: rec.sink}); err != nil {
			t.Fatal(err)
		}
		if tries != 3 {
			t.Errorf("tries = %d", tries)
		}
		tries = -100
		_, err := run.Run(t.Context(), []run.Node{p}, run.Options{Sink: rec.sink})
		if err == nil || !strings.Contains(err.Error(), "does not hold: status is 200: saw 404") {
			t.Errorf("err = %v", err)
		}
	})
}

func TestSecretsNeverLeave(t *testing.T) {
	const canary = "hvs.CANARY-0123456789"
	var rec recorder
	n := node("a", nil, func(_ context.Context, env *engine.Env) (facts, []engine.Edit, error) {
		env.Logf("first")
		return facts{Token: engine.NewSecret(canary)}, nil, nil
	})
	user := node("b", []string{"a"}, func(_ context.Context, env *engine.Env) (facts, []engine.Edit, error) {
		env.Logf("token is %s", canary)
		env.Warnf("aHZzLkNBTkFSWS0wMTIzNDU2Nzg5 in base64")
		return facts{}, []engine.Edit{{Path: "p/" + canary, Have: map[string]any{"x": []any{canary}}, Want: engine.NewSecret(canary)}},
			nil
	})
	user.Policy.Timeout = 30 * time.Millisecond
	_, err := run.Run(t.Context(), []run.Node{n, user}, run.Options{Sink: rec.sink})
	if err == nil {
		t.Fatal("no error")
	}
	for _, e := range rec.events {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, "CANARY") || strings.Contains(text, "aHZzLkNBTkFSWS0") {
			t.Errorf("the secret shows in %s", text)
		}
	}
}

func sorted(s []string) map[string]int {
	m := make(map[string]int)
	for _, e := range s {
		m[e]++
	}
	return m
}

// The hint of a known message comes before a general hint.
func TestTimeoutDoesNotHideAKnownHint(t *testing.T) {
	const failed = `HTTP 500: {"message":"AxiosError: Request failed with status code 401"}`
	known := func(message string) string {
		if strings.Contains(message, failed) {
			return "check the admin key"
		}
		return ""
	}
	for name, inspect := range map[string]func(context.Context, *engine.Env) (facts, []engine.Edit, error){
		"an error": func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, nil, errors.New(failed)
		},
		"a wait": func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, []engine.Edit{{Path: "ApisixTls/default/web", Have: "SyncFailed: " + failed}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hint string
				n := node("a", nil, inspect)
				n.Policy.Timeout = time.Minute
				_, _ = run.Run(t.Context(), []run.Node{n}, run.Options{Hint: known, Sink: func(ev engine.Event) {
					if ev.Action == engine.ActionFail {
						hint = ev.Hint
					}
				}})
				if !strings.Contains(hint, "admin key") {
					t.Errorf("hint is %q", hint)
				}
			})
		})
	}
}

// A look that fails in the same way again and again is not silent: how often it came is
// shown, less and less often.
func TestRetriesAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shown []time.Duration
		var counts []int
		began := time.Now()
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, nil, errors.New(`admission webhook "x" denied the request: panic: nil map`)
		})
		n.Policy.Timeout = time.Minute
		known := func(string) string { return "this is a defect of the webhook" }
		_, _ = run.Run(t.Context(), []run.Node{n}, run.Options{Hint: known, Sink: func(ev engine.Event) {
			if ev.Action != engine.ActionRetry {
				return
			}
			shown, counts = append(shown, time.Since(began).Truncate(5*time.Second)), append(counts, ev.Count)
			if !strings.Contains(ev.Hint, "defect of the webhook") {
				t.Errorf("hint is %q", ev.Hint)
			}
		}})
		if d := cmp.Diff([]time.Duration{0, 15 * time.Second, 45 * time.Second}, shown); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if counts[0] != 0 || counts[1] < 8 || counts[2] <= counts[1] {
			t.Errorf("counts %v", counts)
		}
	})
}

// The reason why a step was not done survives an interrupt, with its hint and how often
// it came.
func TestInterruptKeepsTheReason(t *testing.T) {
	sealed := errors.New("read sys/mounts: vault is sealed")
	known := func(message string) string {
		if strings.Contains(message, "sealed") {
			return "unseal it"
		}
		return ""
	}
	hang := func(ctx context.Context, env *engine.Env) error {
		env.Statusf("installing the chart\nin detail")
		<-ctx.Done()
		return ctx.Err()
	}
	for name, c := range map[string]struct {
		inspect    func(context.Context, *engine.Env) (facts, []engine.Edit, error)
		want, hint string
	}{
		"an error that is tried again": {
			func(context.Context, *engine.Env) (facts, []engine.Edit, error) { return facts{}, nil, sealed },
			`^interrupted while waiting for another try: read sys/mounts: vault is sealed \(×\d+\)$`, "unseal it",
		},
		"a wait": {
			func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
				return facts{}, []engine.Edit{{Path: "ClusterIssuer/a", Have: "Vault is sealed"}}, nil
			}, `^interrupted while waiting for ClusterIssuer/a: Vault is sealed$`, "unseal it",
		},
		"a wait with a hint of its own": {
			func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
				return facts{}, []engine.Edit{{Path: "a"}, {Path: "b", Have: "no image", Hint: "push it"}}, nil
			}, `^interrupted while waiting for a and b \(no image\)$`, "push it",
		},
		"an activity": {
			func(ctx context.Context, env *engine.Env) (facts, []engine.Edit, error) {
				return facts{}, nil, hang(ctx, env)
			},
			`^interrupted during: installing the chart$`, run.Again,
		},
		"nothing": {
			func(ctx context.Context, _ *engine.Env) (facts, []engine.Edit, error) {
				<-ctx.Done()
				return facts{}, nil, ctx.Err()
			}, `^interrupted: context canceled$`, run.Again,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(20*time.Second, cancel)
				var fail engine.Event
				res, err := run.Run(ctx, []run.Node{node("a", nil, c.inspect)}, run.Options{
					Hint: known, Next: func(step, message string) string { return "look at " + step },
					Sink: func(ev engine.Event) {
						if ev.Action == engine.ActionFail {
							fail = ev
						}
					}})
				if !regexp.MustCompile(c.want).MatchString(fail.Error) || fail.Hint != c.hint || fail.Next != "look at a" {
					t.Errorf("error %q, hint %q, next %q; want %s", fail.Error, fail.Hint, fail.Next, c.want)
				}
				if !errors.Is(err, context.Canceled) || !res.Interrupted {
					t.Errorf("err %v, interrupted %v", err, res.Interrupted)
				}
			})
		})
	}
}

// A step that ran out of time while it waited has the hint of the edit that it waited
// for.
func TestTimeoutHasTheHintOfTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, []engine.Edit{{Path: "Deployment/a", Have: "ImagePullBackOff", Hint: "push the image"}}, nil
		})
		_, err := run.Run(t.Context(), []run.Node{n}, run.Options{})
		if got := engine.HintOf(err); got != "push the image" {
			t.Errorf("hint %q of %v", got, err)
		}
	})
}

// A proof that is cut off by its timeout reports why the attempts before failed,
// not that it was cut off.
func TestProofKeepsTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		p := proving("p", func(ctx context.Context, _ *engine.Env) (facts, []engine.Finding, error) {
			if tries++; tries == 1 {
				return facts{}, nil, errors.New("unknown authority")
			}
			<-ctx.Done()
			return facts{}, nil, ctx.Err()
		})
		p.Policy.Timeout = time.Minute
		_, err := run.Run(t.Context(), []run.Node{p}, run.Options{})
		if err == nil || !strings.Contains(err.Error(), "not done after 1m: unknown authority") {
			t.Errorf("err = %v", err)
		}
	})
}

// A step that runs out of time reports why it is not done: the newest
// error, even if the edit that was cut off knows only that time is over. An edit that
// went well since is no reason.
func TestTimeoutKeepsTheReason(t *testing.T) {
	reset := errors.New("connection reset by peer")
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	for name, c := range map[string]struct {
		first func(ctx context.Context) error // applies the first edit, the first time
		want  string
	}{
		"a failed write": {func(context.Context) error { return reset }, "not done after 1m: connection reset by peer"},
		"a good one":     {func(context.Context) error { return nil }, "not done after 1m: the step's timeout is over"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				writes := 0
				n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
					return facts{}, []engine.Edit{{Path: fmt.Sprintf("edit/%d", writes), Apply: func(ctx context.Context) error {
						if writes++; writes == 1 {
							return c.first(ctx)
						}
						return hang(ctx)
					}}}, nil
				})
				n.Policy.Timeout, n.Policy.Attempts = time.Minute, 5
				_, err := run.Run(t.Context(), []run.Node{n}, run.Options{})
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("err = %v, want %q", err, c.want)
				}
			})
		})
	}
}
