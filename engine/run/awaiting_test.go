package run_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// signed is a world that writes a request and then awaits a signature.
func signed(requested, done *atomic.Bool, meanwhile bool) func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
	return func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
		if done.Load() {
			return facts{Name: "new"}, nil, nil
		}
		out := facts{}
		if meanwhile {
			out.Name = "old"
		}
		var edits []engine.Edit
		if !requested.Load() {
			edits = append(edits, engine.Edit{Path: "request", Want: "there", Apply: func(context.Context) error { requested.Store(true); return nil }})
		}
		return out, append(edits, engine.Edit{Path: "ca", Want: "signed", Awaits: "signature", Hint: "sign it, then run again", Meanwhile: meanwhile}), nil
	}
}

const signIt = "awaiting signature: sign it, then run again"

// states runs the nodes and returns the states of their steps, with the reasons of
// those that did not run.
func states(t *testing.T, mode run.Mode, nodes ...run.Node) ([]string, *run.Result, *recorder) {
	t.Helper()
	var rec recorder
	res, err := run.Run(t.Context(), nodes, run.Options{Mode: mode, Sink: rec.sink})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, s := range res.Steps {
		line := s.ID + " " + string(s.State)
		for _, e := range rec.events {
			if e.Step == s.ID && (e.Action == engine.ActionSkip || e.Action == engine.ActionAwaiting) {
				line += ": " + e.Message
			}
		}
		out = append(out, line)
	}
	return out, res, &rec
}

// A step that only a person can complete ends awaiting it. The steps that need it
// wait, also two steps on; the others go on; and nothing is proved by that.
func TestAwaiting(t *testing.T) {
	var requested, done atomic.Bool
	using := node("using", []string{"ca"}, same)
	using.Refs = []string{"ca"}
	holds := proving("holds", func(context.Context, *engine.Env) (facts, []engine.Finding, error) {
		return facts{}, []engine.Finding{{Rule: "it is so", Holds: true}}, nil
	})
	nodes := []run.Node{
		node("ca", nil, signed(&requested, &done, false)), using, node("later", []string{"using"}, same),
		node("ordered", []string{"ca"}, same), node("other", nil, same), holds,
	}
	want := []string{
		"ca awaiting: " + signIt,
		"using skipped: waits for ca, which is awaiting signature",
		"later skipped: waits for using, which waits as well",
		"ordered skipped: waits for ca, which is awaiting signature",
		"other unchanged", "holds proved",
	}
	for _, edits := range []int{1, 0} { // the second run writes nothing, and has the same states
		got, res, rec := states(t, run.Apply, nodes...)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		s := res.Summary
		if s.Result != engine.ResultAwaiting || s.Outcome() != "awaiting signature" || s.Awaiting != 1 || s.Edits != edits || s.Failed != 0 {
			t.Errorf("summary %+v", s)
		}
		if slices.Contains(rec.log(), "wait ca") {
			t.Error("the run waited")
		}
	}
	done.Store(true)
	got, res, _ := states(t, run.Apply, nodes...)
	if d := cmp.Diff([]string{"ca unchanged", "using unchanged", "later unchanged", "ordered unchanged", "other unchanged", "holds proved"}, got); d != "" {
		t.Errorf("when it is signed (-want +got):\n%s", d)
	}
	if res.Summary.Result != engine.ResultProved {
		t.Errorf("when it is signed: %s", res.Summary.Outcome())
	}
}

// A failure counts more than a step that awaits a person.
func TestAwaitingAndFailing(t *testing.T) {
	var requested, done atomic.Bool
	bad := node("bad", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
		return facts{}, nil, engine.Permanent(context.DeadlineExceeded)
	})
	var rec recorder
	res, err := run.Run(t.Context(), []run.Node{
		node("ca", nil, signed(&requested, &done, false)), bad, node("both", []string{"ca", "bad"}, same),
	}, run.Options{Sink: rec.sink})
	if err == nil || res.Summary.Result != engine.ResultFailed {
		t.Errorf("%s, %v", res.Summary.Outcome(), err)
	}
	if e, _ := rec.find(engine.ActionSkip); e.Message != "needs bad, which failed" {
		t.Errorf("skip: %q", e.Message)
	}
}

// The present state serves until then: the steps that need it go on with its
// outputs.
func TestAwaitingMeanwhile(t *testing.T) {
	var requested, done atomic.Bool
	var used atomic.Value
	using := node("using", []string{"ca"}, same)
	using.Refs = []string{"ca"}
	using.Spec = func(o run.Outputs) (any, error) {
		out, _ := o("ca")
		used.Store(out.(facts).Name)
		return &world{inspect: same}, nil
	}
	for _, mode := range []run.Mode{run.Apply, run.DryRun} {
		got, res, _ := states(t, mode, node("ca", nil, signed(&requested, &done, true)), using)
		if d := cmp.Diff([]string{"ca awaiting: " + signIt, "using unchanged"}, got); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if used.Load() != "old" || res.Summary.Result != engine.ResultAwaiting {
			t.Errorf("used %v; %s", used.Load(), res.Summary.Outcome())
		}
	}
}

// A dry run names the thing that will be awaited, and once the request is there,
// that it is.
func TestAwaitingInADryRun(t *testing.T) {
	var requested, done atomic.Bool
	using := node("using", []string{"ca"}, same)
	using.Refs = []string{"ca"}
	nodes := []run.Node{node("ca", nil, signed(&requested, &done, false)), using}
	got, res, rec := states(t, run.DryRun, nodes...)
	if d := cmp.Diff([]string{"ca pending", "using after"}, got); d != "" || res.Summary.Result != engine.ResultDiffers {
		t.Errorf("%s (-want +got):\n%s", res.Summary.Outcome(), d)
	}
	said := ""
	for _, e := range rec.events {
		if e.Action == engine.ActionDiffers && e.Path == "ca" {
			said = e.Message
		}
	}
	if said != signIt {
		t.Errorf("the difference says %q", said)
	}
	requested.Store(true)
	got, res, _ = states(t, run.DryRun, nodes...)
	if d := cmp.Diff([]string{"ca awaiting: " + signIt, "using skipped: waits for ca, which is awaiting signature"}, got); d != "" || res.Summary.Result != engine.ResultAwaiting {
		t.Errorf("%s (-want +got):\n%s", res.Summary.Outcome(), d)
	}
}

// Edits that others remove by themselves are waited for first.
func TestAwaitingComesLast(t *testing.T) {
	var looks atomic.Int32
	n := node("ca", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
		edits := []engine.Edit{{Path: "ca", Want: "signed", Awaits: "signature", Hint: "sign it, then run again"}}
		if looks.Add(1) < 3 {
			edits = append(edits, engine.Edit{Path: "server", Have: "starting", Want: "up"})
		}
		return facts{}, edits, nil
	})
	got, _, rec := states(t, run.Apply, n)
	if d := cmp.Diff([]string{"ca awaiting: " + signIt}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if e, _ := rec.find(engine.ActionWait); e.Message != "server (starting)" {
		t.Errorf("waited for %q", e.Message)
	}
}
