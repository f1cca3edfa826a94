package run_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// planted panics; its name has to be in the stack of a report.
func planted() { panic("boom") }

// A panic anywhere in a step fails that step with its stack, is never tried again,
// and leaves the other steps alone.
func TestPanicFailsItsStep(t *testing.T) {
	tests := []struct {
		name string
		node run.Node
	}{
		{"look", node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) { planted(); return facts{}, nil, nil })},
		{"goroutines of a look", node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			var g engine.Group
			g.Go(planted)
			g.Wait()
			return facts{}, nil, nil
		})},
		{"edit", node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, []engine.Edit{{Path: "x", Want: "on", Apply: func(context.Context) error { planted(); return nil }}}, nil
		})},
		{"watch", node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, nil, engine.Try(func() error { planted(); return nil })
		})},
		{"probes of a proof", proving("a", func(ctx context.Context, _ *engine.Env) (facts, []engine.Finding, error) {
			ctx, cancel := context.WithCancelCause(ctx)
			g := engine.Group{Panicked: cancel}
			defer g.Wait()
			g.Go(planted)
			<-ctx.Done()
			return facts{}, nil, ctx.Err()
		})},
		{"spec", run.Node{ID: "a", Kind: worldKind, Policy: engine.DefaultPolicy(), Spec: func(run.Outputs) (any, error) { planted(); return nil, nil }}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var done atomic.Bool
			var rec recorder
			res, err := run.Run(t.Context(), []run.Node{tt.node, node("b", nil, toggle("b", &done, nil))}, run.Options{Sink: rec.sink})
			if err == nil || res.Steps[0].State != run.Failed || res.Steps[1].State != run.Changed || res.Summary.Result != engine.ResultFailed {
				t.Fatalf("error %v, states %s and %s, result %s", err, res.Steps[0].State, res.Steps[1].State, res.Summary.Result)
			}
			fail, _ := rec.find(engine.ActionFail)
			if !strings.Contains(fail.Error, "panic: boom\n") || !strings.Contains(fail.Error, "run_test.planted") || fail.Hint == "" {
				t.Errorf("fail %q, hint %q", fail.Error, fail.Hint)
			}
			if _, retried := rec.find(engine.ActionRetry); retried {
				t.Error("tried again")
			}
			if ev, ok := rec.find(engine.ActionUnknown); (tt.name == "edit") != ok {
				t.Errorf("an edit that panicked is unknown: %+v", ev)
			}
		})
	}
}

// A panic in a watch does not keep the step from looking again.
func TestPanicInAWatchIsNotFatal(t *testing.T) {
	looks := 0
	n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
		if looks++; looks > 1 {
			return facts{}, nil, nil
		}
		return facts{}, []engine.Edit{{Path: "x", Await: func(context.Context) error { planted(); return nil }}}, nil
	})
	if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{}); err != nil || looks != 2 {
		t.Errorf("error %v, %d looks", err, looks)
	}
}

func TestPanicInAnIntentFailsTheProof(t *testing.T) {
	n := proving("a", nil)
	n.Preview = func() any { planted(); return nil }
	res, err := run.Run(t.Context(), []run.Node{n, node("b", nil, same)}, run.Options{Mode: run.DryRun})
	if err == nil || res.Steps[0].State != run.Failed || res.Steps[1].State != run.Unchanged {
		t.Errorf("error %v, states %s and %s", err, res.Steps[0].State, res.Steps[1].State)
	}
}
