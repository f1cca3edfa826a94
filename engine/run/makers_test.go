package run_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// looksFor is a step that needs a thing: it fails for good when that cannot come any more.
func looksFor(thing string, there func() bool) func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
	return func(_ context.Context, env *engine.Env) (facts, []engine.Edit, error) {
		switch {
		case there():
			return facts{Name: thing}, nil, nil
		case env.Hopeless(thing):
			return facts{}, nil, engine.Permanent(errors.New(thing + " does not come"))
		}
		return facts{}, nil, errors.New(thing + " is not there")
	}
}

// A thing that is not there is waited for as long as a step that is not done may make it,
// and no longer: not for one that failed, that is left out or awaits a person, or that waits itself for the
// step that needs the thing.
func TestMissingThings(t *testing.T) {
	const pause = 10 * time.Second
	for name, c := range map[string]struct {
		maker  func(n *run.Node, made *atomic.Bool)
		want   time.Duration
		failed bool
	}{
		"made in time":    {func(*run.Node, *atomic.Bool) {}, pause, false},
		"made by no step": {func(n *run.Node, _ *atomic.Bool) { n.MayMake = nil }, 0, true},
		"makes another":   {func(n *run.Node, _ *atomic.Bool) { n.MayMake = func(*engine.Env, string, bool) bool { return false } }, 0, true},
		"left out":        {func(n *run.Node, _ *atomic.Bool) { n.Skip = "--skip" }, 0, true},
		"waits for it":    {func(n *run.Node, _ *atomic.Bool) { n.Needs = []string{"user"} }, 0, true},
		"done without it": {func(n *run.Node, made *atomic.Bool) {
			n.Spec = specOf(func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
				sleep(pause)
				return facts{}, nil, nil
			})
		}, pause, true},
		"awaits a person": {func(n *run.Node, _ *atomic.Bool) {
			n.Spec = specOf(func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
				sleep(pause)
				return facts{}, []engine.Edit{{Path: "app", Want: "signed", Awaits: "signature", Hint: "sign it"}}, nil
			})
		}, pause, true},
		"comes after it": {func(n *run.Node, made *atomic.Bool) {
			n.MayMake = func(*engine.Env, string, bool) bool { return true }
			n.Spec = specOf(func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
				time.AfterFunc(pause, func() { made.Store(true) })
				return facts{}, nil, nil
			})
		}, pause, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var made atomic.Bool
				maker := node("maker", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
					sleep(pause)
					made.Store(true)
					return facts{}, nil, nil
				})
				maker.MayMake = func(env *engine.Env, thing string, done bool) bool {
					if env.Step != "maker" {
						t.Errorf("asked as step %q", env.Step)
					}
					return thing == "Service/web/app" && !done
				}
				c.maker(&maker, &made)
				began := time.Now()
				var took time.Duration
				user := node("user", nil, looksFor("Service/web/app", made.Load))
				user.Policy.Timeout = time.Hour
				sink := func(e engine.Event) {
					if e.Step == "user" && (e.Action == engine.ActionFail || e.Action == engine.ActionUnchanged) {
						took = time.Since(began)
					}
				}
				res, _ := run.Run(t.Context(), []run.Node{user, maker}, run.Options{Sink: sink})
				if failed := res.Steps[0].State == run.Failed; failed != c.failed {
					t.Errorf("failed: %t, want %t: %v", failed, c.failed, res.Steps[0].Err)
				}
				if took < c.want || took > c.want+30*time.Second {
					t.Errorf("it took %v, want %v", took, c.want)
				}
			})
		})
	}
}

func sleep(d time.Duration) { <-time.After(d) } // in the bubble's time

func specOf(inspect func(context.Context, *engine.Env) (facts, []engine.Edit, error)) func(run.Outputs) (any, error) {
	return func(run.Outputs) (any, error) { return &world{inspect: inspect}, nil }
}

// An edit that is cut off and is known to have changed nothing is no doubt.
func TestCutOffWithoutEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rec recorder
		n := node("a", nil, func(context.Context, *engine.Env) (facts, []engine.Edit, error) {
			return facts{}, []engine.Edit{{Path: "x", Want: "y", Apply: func(ctx context.Context) error {
				<-ctx.Done()
				return engine.WithoutEffect(context.Cause(ctx))
			}}}, nil
		})
		n.Policy.Timeout = time.Minute
		_, err := run.Run(t.Context(), []run.Node{n}, run.Options{Sink: rec.sink})
		if _, unknown := rec.find(engine.ActionUnknown); unknown || err == nil {
			t.Errorf("the outcome is said to be unknown: %t, %v", unknown, err)
		}
	})
}
