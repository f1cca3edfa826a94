package run_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// changing is a proof that declares its changes.
type changing struct {
	declared []engine.Edit
	prove    func(context.Context, *engine.Env) error
}

func (c *changing) Intent() []string       { return []string{"measure"} }
func (c *changing) Changes() []engine.Edit { return c.declared }

func (c *changing) Prove(ctx context.Context, env *engine.Env) (facts, []engine.Finding, error) {
	if engine.WritesAllowed(ctx) {
		return facts{}, nil, engine.Permanent(errors.New("writes are allowed between the edits"))
	}
	return facts{}, []engine.Finding{{Rule: "it works", Holds: true}}, c.prove(ctx, env)
}

var changingKind = engine.NewProof("changing", engine.Policy{Timeout: time.Hour, Attempts: 1}, func() *changing { return new(changing) })

func changer(id string, prove func(context.Context, *engine.Env) error, declared ...engine.Edit) run.Node {
	spec := &changing{declared: declared, prove: prove}
	return run.Node{
		ID: id, Kind: changingKind, Policy: changingKind.Policy, Position: "plan.yaml:1:1",
		Preview: func() any { return spec },
		Spec:    func(run.Outputs) (any, error) { return spec, nil },
	}
}

func oiled(path string, apply func(context.Context) error) engine.Edit {
	return engine.Edit{Path: path, Want: "oiled", Apply: apply}
}

var door = engine.Edit{Path: "door", Want: "oiled", Note: "all hinges"}

// The changes of a proof pass the gate and the journal and are among the events;
// it is counted apart.
func TestAProofChangesByEdits(t *testing.T) {
	var rec recorder
	var j notes
	gates := 0
	n := changer("p", func(ctx context.Context, env *engine.Env) error {
		for _, path := range []string{"door/a", "door/b", "door/a"} {
			err := env.Apply(ctx, oiled(path, func(ctx context.Context) error {
				if !engine.WritesAllowed(ctx) || gates != 1 {
					t.Errorf("writes allowed %v, gate passed %d times", engine.WritesAllowed(ctx), gates)
				}
				if last := j.lines[len(j.lines)-1]; last != "apply p "+path {
					t.Errorf("applied after %q", last)
				}
				return nil
			}))
			if err != nil {
				return err
			}
		}
		refused := errors.New("403")
		if err := env.Apply(ctx, oiled("door/c", func(context.Context) error { return refused })); !errors.Is(err, refused) {
			t.Errorf("the edit's error is %v", err)
		}
		return nil
	}, door)
	res, err := run.Run(t.Context(), []run.Node{n}, run.Options{Sink: rec.sink, Journal: &j, BeforeFirstWrite: func(context.Context, func(string)) error { gates++; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"start p", "differs p door/a", "apply p door/a", "applied p door/a", "differs p door/b", "apply p door/b", "applied p door/b",
		"apply p door/a", "applied p door/a", "differs p door/c", "apply p door/c", "finding p it works", "proved p"}
	if d := cmp.Diff(want, rec.log()); d != "" {
		t.Errorf("events (-want +got):\n%s", d)
	}
	want = []string{"apply p door/a", "applied p door/a", "apply p door/b", "applied p door/b", "apply p door/a", "applied p door/a", "apply p door/c", "fail p door/c"}
	if d := cmp.Diff(want, j.lines); d != "" {
		t.Errorf("journal (-want +got):\n%s", d)
	}
	for _, e := range j.events {
		if !e.Proof {
			t.Errorf("the journal is not told that %s is a proof's", e.Path)
		}
	}
	if s := res.Summary; s.Edits != 0 || s.ProofEdits != 3 || s.Proved != 1 {
		t.Errorf("summary %+v", s)
	}
}

// Nothing is changed that is not declared, and nothing without a lock or
// a journal.
func TestAProofIsRefused(t *testing.T) {
	full := errors.New("no space left")
	for _, c := range []struct {
		name, path, want string
		opts             run.Options
	}{
		{name: "not declared", path: "window", want: "window: the proof did not declare that it changes this: a defect of kind changing"},
		{name: "not below", path: "doorway", want: "did not declare"},
		{name: "locked", path: "door", want: "held by another run",
			opts: run.Options{BeforeFirstWrite: func(context.Context, func(string)) error { return engine.Permanent(errors.New("held by another run")) }}},
		{name: "no journal", path: "door", want: full.Error(), opts: run.Options{Journal: &notes{refuse: full}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := changer("p", func(ctx context.Context, env *engine.Env) error {
				err := env.Apply(ctx, oiled(c.path, func(context.Context) error { t.Error("applied"); return nil }))
				if !errors.Is(err, engine.ErrPermanent) {
					t.Errorf("%v is not permanent", err)
				}
				return err
			}, door)
			if _, err := run.Run(t.Context(), []run.Node{n}, c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v", err)
			}
		})
	}
	n := node("a", nil, func(_ context.Context, env *engine.Env) (facts, []engine.Edit, error) {
		if env.Apply != nil {
			t.Error("a step that is no proof is given Apply")
		}
		return facts{}, nil, nil
	})
	if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{}); err != nil {
		t.Error(err)
	}
}

// A wave of edits at once: the gate opens once, and each is reported.
func TestAProofAppliesSeveralAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gates := 0
		var j notes
		n := changer("p", func(ctx context.Context, env *engine.Env) error {
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					_ = env.Apply(ctx, oiled(fmt.Sprint("door/", i), func(context.Context) error { time.Sleep(time.Second); return nil }))
				})
			}
			wg.Wait()
			return nil
		}, door)
		began := time.Now()
		res, err := run.Run(t.Context(), []run.Node{n}, run.Options{Journal: &j, BeforeFirstWrite: func(context.Context, func(string)) error {
			gates++
			time.Sleep(time.Second)
			return nil
		}})
		if err != nil || gates != 1 || res.Summary.ProofEdits != 20 || len(j.lines) != 40 || time.Since(began) != 2*time.Second {
			t.Errorf("error %v, %d gates, %d edits, %d lines, %v", err, gates, res.Summary.ProofEdits, len(j.lines), time.Since(began))
		}
	})
}

// An interrupt lets the edit finish and starts no other, but for those that the proof
// takes back with a context that outlives its own.
func TestAProofTurnsBackAfterAnInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, interrupt := context.WithCancel(t.Context())
		var j notes
		n := changer("p", func(ctx context.Context, env *engine.Env) error {
			if err := env.Apply(ctx, oiled("door/over", func(actx context.Context) error {
				interrupt()
				time.Sleep(20 * time.Second)
				return actx.Err()
			})); err != nil {
				t.Errorf("the edit under way: %v", err)
			}
			if err := env.Apply(ctx, oiled("door/next", nil)); !errors.Is(err, context.Canceled) {
				t.Errorf("the next edit: %v", err)
			}
			own, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			if err := env.Apply(own, oiled("door/back", func(context.Context) error { time.Sleep(20 * time.Second); return nil })); err != nil {
				t.Errorf("the way back: %v", err)
			}
			began := time.Now()
			_ = env.Apply(own, oiled("door/hangs", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("the way back has its own limit, and took %s beyond it", took-10*time.Second)
			}
			return ctx.Err()
		}, door)
		res, _ := run.Run(ctx, []run.Node{n}, run.Options{Journal: &j})
		want := []string{"apply p door/over", "applied p door/over", "apply p door/back", "applied p door/back", "apply p door/hangs", "unknown p door/hangs"}
		if d := cmp.Diff(want, j.lines); d != "" || !res.Interrupted {
			t.Errorf("interrupted %v, journal (-want +got):\n%s", res.Interrupted, d)
		}
	})
}

// Without the lock nothing is taken back either: another run may have it. A second
// interrupt ends an edit at once.
func TestAProofThatMayNotTurnBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("run lock lost")
		ctx, stop := context.WithCancelCause(t.Context())
		n := changer("p", func(ctx context.Context, env *engine.Env) error {
			stop(lost)
			<-ctx.Done()
			return env.Apply(context.WithoutCancel(ctx), oiled("door/back", nil))
		}, door)
		if _, err := run.Run(ctx, []run.Node{n}, run.Options{}); !errors.Is(err, lost) {
			t.Errorf("error is %v", err)
		}

		ctx2, interrupt := context.WithCancel(t.Context())
		kill, again := context.WithCancel(t.Context())
		n = changer("p", func(ctx context.Context, env *engine.Env) error {
			interrupt()
			return env.Apply(context.WithoutCancel(ctx), oiled("door/back", func(ctx context.Context) error {
				again()
				<-ctx.Done()
				return ctx.Err()
			}))
		}, door)
		began := time.Now()
		if _, err := run.Run(ctx2, []run.Node{n}, run.Options{Kill: kill}); err == nil || time.Since(began) != 0 {
			t.Errorf("error %v after %s", err, time.Since(began))
		}
	})
}

// A dry run lists the changes of a proof, and they are no difference.
func TestADryRunListsWhatProofsWouldChange(t *testing.T) {
	var rec recorder
	n := changer("p", func(context.Context, *engine.Env) error { t.Error("proved"); return nil }, door)
	res, err := run.Run(t.Context(), []run.Node{n, node("a", nil, same)}, run.Options{Mode: run.DryRun, Sink: rec.sink})
	if err != nil || res.Summary.Result == engine.ResultDiffers || res.Summary.Edits != 0 || res.Summary.ProofEdits != 1 {
		t.Errorf("error %v, %+v", err, res.Summary)
	}
	i := slices.IndexFunc(rec.events, func(e engine.Event) bool { return e.Action == engine.ActionWould && e.Path != "" })
	if i < 0 || rec.events[i].Path != "door" || rec.events[i].Want != "oiled" || rec.events[i].Message != "all hinges" {
		t.Errorf("events: %+v", rec.events)
	}
}

func TestTheDigestCoversWhatProofsWouldChange(t *testing.T) {
	proves := func(declared ...engine.Edit) run.Node { return changer("p", nil, declared...) }
	base := digestOf(t, proves(door))
	for _, c := range []struct {
		name string
		node run.Node
		same bool
	}{
		{"again", proves(door), true},
		{"another note", proves(engine.Edit{Path: "door", Want: "oiled"}), true},
		{"another path", proves(engine.Edit{Path: "gate", Want: "oiled"}), false},
		{"another want", proves(engine.Edit{Path: "door", Want: "shut"}), false},
		{"one more", proves(door, engine.Edit{Path: "gate", Want: "oiled"}), false},
		{"none", proves(), false},
		{"an edit of that path", node("p", nil, differing(engine.Edit{Path: "door", Want: "oiled"})), false},
	} {
		if got := digestOf(t, c.node); (got.Digest == base.Digest) != c.same {
			t.Errorf("%s: equal is %v, want %v", c.name, got.Digest == base.Digest, c.same)
		}
	}
	if base.Digests["p"] == "" {
		t.Error("the proof has no digest of its own")
	}
	// By its inputs as they are, or, if it is blocked, as the plan writes them.
	blockedBy := func(literal string) run.Node {
		n := proves(door)
		n.Needs, n.Refs = []string{"a"}, []string{"a"}
		n.Literal = func() any { return literal }
		n.Spec = func(o run.Outputs) (any, error) {
			out, _ := o("a")
			return &changing{declared: []engine.Edit{{Path: out.(facts).Name, Want: "oiled"}}}, nil
		}
		return n
	}
	named := func(name string) inspecting {
		return func(context.Context, *engine.Env) (facts, []engine.Edit, error) { return facts{Name: name}, nil, nil }
	}
	if digestOf(t, node("a", nil, named("x")), blockedBy("l")).Digest == digestOf(t, node("a", nil, named("y")), blockedBy("l")).Digest {
		t.Error("inputs that other steps give are not seen")
	}
	pending := differing(engine.Edit{Path: "a"})
	if digestOf(t, node("a", nil, pending), blockedBy("l")).Digest == digestOf(t, node("a", nil, pending), blockedBy("m")).Digest {
		t.Error("blocked by others, literal inputs are not seen")
	}
}
