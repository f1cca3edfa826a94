package run_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// notes is a journal in memory.
type notes struct {
	mu     sync.Mutex
	lines  []string
	events []engine.Event
	refuse error // of Intent
}

func (n *notes) add(e engine.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf("%s %s %s", e.Action, e.Step, e.Path))
	n.events = append(n.events, e)
}

func (n *notes) Intent(e engine.Event) error  { n.add(e); return n.refuse }
func (n *notes) Outcome(e engine.Event) error { n.add(e); return nil }

func TestJournalIsToldBeforeAndAfter(t *testing.T) {
	var done atomic.Bool
	var j notes
	tries := 0
	n := node("a", nil, toggle("a/x", &done, func(context.Context) error {
		if last := j.lines[len(j.lines)-1]; last != "apply a a/x" {
			t.Errorf("applied after %q", last)
		}
		if tries++; tries == 1 {
			return errors.New("500 no")
		}
		return nil
	}))
	n.Policy.Delay = time.Millisecond
	if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{Journal: &j}); err != nil {
		t.Fatal(err)
	}
	want := []string{"apply a a/x", "fail a a/x", "apply a a/x", "applied a a/x"}
	if d := cmp.Diff(want, j.lines); d != "" {
		t.Errorf("journal (-want +got):\n%s", d)
	}
	if e := j.events[1]; e.Error != "500 no" || e.Time.IsZero() || e.Kind != "world" || e.Attempt != 1 {
		t.Errorf("outcome: %+v", e)
	}
	j.lines = nil
	if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{Journal: &j}); err != nil || j.lines != nil {
		t.Errorf("a run that writes nothing: err %v, journal %v", err, j.lines)
	}
}

func TestNoIntentNoEdit(t *testing.T) {
	var done atomic.Bool
	j := notes{refuse: errors.New("journal: no space left")}
	n := node("a", nil, toggle("a/x", &done, nil))
	_, err := run.Run(t.Context(), []run.Node{n}, run.Options{Journal: &j})
	if err == nil || !strings.Contains(err.Error(), "no space left") || done.Load() {
		t.Errorf("err %v, applied %v", err, done.Load())
	}
	if len(j.lines) != 1 {
		t.Errorf("tried %d times", len(j.lines))
	}
}

func TestJournalHoldsNoSecret(t *testing.T) {
	const canary = "hvs.CANARY-0123456789"
	var j notes
	n := node("a", nil, func(_ context.Context, env *engine.Env) (facts, []engine.Edit, error) {
		return facts{}, []engine.Edit{{Path: "p/" + canary, Have: canary, Want: engine.NewSecret(canary), Apply: func(context.Context) error {
			env.Conceal(engine.NewSecret("learnt-" + canary))
			return engine.Permanent(errors.New("refused: learnt-" + canary))
		}}}, nil
	})
	_, err := run.Run(t.Context(), []run.Node{n}, run.Options{Journal: &j, Secrets: []engine.Secret{engine.NewSecret(canary)}})
	if err == nil || len(j.events) != 2 {
		t.Fatalf("err %v, journal %v", err, j.lines)
	}
	for _, e := range j.events {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, "CANARY") {
			t.Errorf("the secret shows in %s", text)
		}
	}
}

func TestBeforeFirstWriteIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls, applied atomic.Int32
		var nodes []run.Node
		var done [4]atomic.Bool
		for i := range done {
			id := fmt.Sprint("s", i)
			nodes = append(nodes, node(id, nil, toggle(id, &done[i], func(context.Context) error { applied.Add(1); return nil })))
		}
		opts := run.Options{BeforeFirstWrite: func(ctx context.Context, _ func(string)) error {
			time.Sleep(time.Second)
			if applied.Load() != 0 {
				t.Error("an edit was applied before")
			}
			if !engine.WritesAllowed(ctx) {
				t.Error("writes are not allowed")
			}
			calls.Add(1)
			return nil
		}}
		if _, err := run.Run(t.Context(), nodes, opts); err != nil {
			t.Fatal(err)
		}
		if calls.Load() != 1 || applied.Load() != 4 {
			t.Errorf("asked %d times, %d edits", calls.Load(), applied.Load())
		}
		if _, err := run.Run(t.Context(), nodes, opts); err != nil || calls.Load() != 1 {
			t.Errorf("a run without edits: err %v, asked %d times", err, calls.Load())
		}
	})
}

func TestBeforeFirstWriteRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		err   error
		calls int // for two steps with three attempts
	}{
		{"for good", engine.Permanent(errors.New("held")), 1},
		{"for now", errors.New("unreachable"), 6},
	} {
		synctest.Test(t, func(t *testing.T) {
			var x, y atomic.Bool
			calls := 0
			nodes := []run.Node{node("a", nil, toggle("x", &x, nil)), node("b", nil, toggle("y", &y, nil))}
			_, err := run.Run(t.Context(), nodes, run.Options{BeforeFirstWrite: func(context.Context, func(string)) error { calls++; return tc.err }})
			if !errors.Is(err, tc.err) || calls != tc.calls || x.Load() || y.Load() {
				t.Errorf("%s: err %v, asked %d times, want %d; applied %v %v", tc.name, err, calls, tc.calls, x.Load(), y.Load())
			}
		})
	}
}

// The cause of a cancelled run (a lost lock) is quoted, the edit that
// is being applied may finish, and no other starts.
func TestStoppedForACause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := engine.WithHint(fmt.Errorf("run lock lost: %w", context.DeadlineExceeded), "run it again")
		ctx, cancel := context.WithCancelCause(t.Context())
		var applied []string
		edit := func(path string) engine.Edit {
			return engine.Edit{Path: path, Apply: func(actx context.Context) error {
				if path == "one" {
					cancel(lost)
					time.Sleep(time.Second)
				}
				applied = append(applied, path)
				return actx.Err()
			}}
		}
		var rec recorder
		nodes := []run.Node{
			node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
				return facts{}, []engine.Edit{edit("one"), edit("two")}, nil
			}),
			node("b", []string{"a"}, same),
		}
		res, err := run.Run(ctx, nodes, run.Options{Sink: rec.sink})
		if !errors.Is(err, lost) || res.Interrupted {
			t.Errorf("err %v, interrupted %v", err, res.Interrupted)
		}
		if !slices.Equal(applied, []string{"one"}) || res.Steps[1].State != run.Skipped {
			t.Errorf("applied %v, b %s", applied, res.Steps[1].State)
		}
		if e, _ := rec.find(engine.ActionFail); e.Error != "run lock lost: context deadline exceeded" || e.Hint != "run it again" {
			t.Errorf("fail: %+v", e)
		}
	})
}
