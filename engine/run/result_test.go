package run_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// The result of a run, for each way to end.
func TestResults(t *testing.T) {
	holds := func(context.Context, *engine.Env) (facts, []engine.Finding, error) {
		return facts{}, []engine.Finding{{Rule: "r", Holds: true}}, nil
	}
	broken := func(context.Context, *engine.Env) (facts, []engine.Finding, error) {
		return facts{}, []engine.Finding{{Rule: "r"}}, engine.Permanent(errors.New("no"))
	}
	left, never := proving("q", holds), proving("q", holds)
	left.Skip, never.When = "--skip", func(run.Outputs) (bool, error) { return false, nil }
	for _, c := range []struct {
		name  string
		nodes []run.Node
		mode  run.Mode
		want  string
	}{
		{"proved", []run.Node{node("a", nil, same), proving("p", holds)}, run.Apply, "proved"},
		{"a proof left out", []run.Node{proving("p", holds), left}, run.Apply, "converged, 1 proof skipped"},
		{"a condition is false", []run.Node{proving("p", holds), never}, run.Apply, "converged, 1 proof skipped"},
		{"only proofs, all left out", []run.Node{left}, run.Apply, "converged, 1 proof skipped"},
		{"no proofs", []run.Node{node("a", nil, same)}, run.Apply, "converged, no proofs in the plan"},
		{"a proof fails", []run.Node{proving("p", broken), proving("q", holds)}, run.Apply, "failed"},
		{"a dry run", []run.Node{node("a", nil, same), proving("p", holds)}, run.DryRun, "nothing differs, 1 proof not run (dry run)"},
		{"a dry run of a proof", []run.Node{proving("p", holds)}, run.DryRun, "not run (dry run)"},
	} {
		var rec recorder
		res, err := run.Run(t.Context(), c.nodes, run.Options{Mode: c.mode, Sink: rec.sink})
		if res == nil {
			t.Fatal(err)
		}
		end, _ := rec.find(engine.ActionEnd)
		if got := end.Summary.Outcome(); got != c.want || res.Summary.Outcome() != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A run that is stopped between two steps has not converged, although no step
// failed.
func TestStoppedBetweenStepsIsNoSuccess(t *testing.T) {
	for cause, want := range map[error]engine.Result{errors.New("the lock is lost"): engine.ResultFailed, nil: engine.ResultInterrupted} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancelCause(t.Context())
			var rec recorder
			sink := func(e engine.Event) {
				rec.sink(e)
				if e.Action == engine.ActionUnchanged {
					stop(cause)
				}
			}
			res, err := run.Run(ctx, []run.Node{node("a", nil, same), node("b", []string{"a"}, same)}, run.Options{Sink: sink})
			if err != nil || res.Summary.Result != want {
				t.Errorf("cause %v: %s, %v, want %s", cause, res.Summary.Result, err, want)
			}
		})
	}
}
