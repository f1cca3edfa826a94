package run_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// fence is a lock that may be doubted, as in a run that cannot renew it.
type fence struct {
	moved bool
	doubt atomic.Pointer[error]
	sure  chan struct{} // is closed when the doubt is over
	ended context.CancelCauseFunc
}

func newFence() *fence { return &fence{sure: make(chan struct{})} }

func (f *fence) check() error {
	if err := f.doubt.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *fence) lose(err error) { f.doubt.Store(&err) }

func (f *fence) Moved() bool { return f.moved }

func (f *fence) Wait(ctx context.Context, say func(string)) error {
	err := f.check()
	if err == nil {
		return nil
	}
	say(err.Error())
	select {
	case <-f.sure:
		f.doubt.Store(nil)
		return nil
	case <-ctx.Done():
		return err
	}
}

func (f *fence) Enclose(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, f.ended = context.WithCancelCause(engine.WritesWhile(ctx, f.check))
	return ctx, func() { f.ended(nil) }
}

func TestNoEditStartsInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, doubt := newFence(), errors.New("renewed 26s ago")
		f.lose(doubt)
		var done atomic.Bool
		began := time.Now()
		time.AfterFunc(40*time.Second, func() { close(f.sure) })
		var rec recorder
		n := node("a", nil, toggle("a/x", &done, func(ctx context.Context) error {
			if d := time.Since(began); d < 40*time.Second {
				t.Errorf("applied after %v", d)
			}
			return engine.WriteCheck(ctx)
		}))
		res, err := run.Run(t.Context(), []run.Node{n}, run.Options{Fence: f, Sink: rec.sink})
		if err != nil || res.Steps[0].State != run.Changed {
			t.Fatalf("%v, %v", res.Steps, err)
		}
		if e, ok := rec.find(engine.ActionWait); !ok || e.Message != doubt.Error() {
			t.Errorf("what it waits for is not said: %+v", e)
		}
	})
}

// The wait ends with the step's time, and the reason is reported.
func TestDoubtIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFence()
		f.lose(errors.New("renewed 26s ago"))
		var done atomic.Bool
		_, err := run.Run(t.Context(), []run.Node{node("a", nil, toggle("a/x", &done, nil))}, run.Options{Fence: f})
		if err == nil || !strings.Contains(err.Error(), "not done after 5m: renewed 26s ago") || done.Load() {
			t.Errorf("%v, applied %v", err, done.Load())
		}
	})
}

// An edit that was under way when the lock was lost writes nothing more, its
// outcome is on record as unknown, and the step looks again.
func TestAnEditStopsInDoubt(t *testing.T) {
	f, doubt := newFence(), errors.New("renewed 26s ago")
	var done atomic.Bool
	var j notes
	tries := 0
	n := node("a", nil, toggle("a/x", &done, func(ctx context.Context) error {
		if tries++; tries > 1 {
			return nil
		}
		f.lose(doubt)
		f.ended(doubt)
		<-ctx.Done()
		close(f.sure)
		if err := engine.WriteCheck(engine.WritesLike(context.Background(), ctx)); err != doubt {
			t.Errorf("it may write: %v", err)
		}
		return context.Cause(ctx)
	}))
	if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{Fence: f, Journal: &j}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(j.lines, ", "); got != "apply a a/x, unknown a a/x, apply a a/x, applied a a/x" {
		t.Errorf("journal: %s", got)
	}
}

// A process can be stopped between the fence and the edit.
func TestDoubtAfterTheIntent(t *testing.T) {
	f := newFence()
	var done atomic.Bool
	j := &doubting{fence: f}
	tries := 0
	n := node("a", nil, toggle("a/x", &done, func(context.Context) error { tries++; return nil }))
	if _, err := run.Run(t.Context(), []run.Node{n}, run.Options{Fence: f, Journal: j}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(j.lines, ", "); tries != 1 || got != "apply a a/x, fail a a/x, apply a a/x, applied a a/x" {
		t.Errorf("applied %d times; journal: %s", tries, got)
	}
}

// doubting loses the lock while it writes the first intent.
type doubting struct {
	notes
	fence *fence
}

func (d *doubting) Intent(e engine.Event) error {
	if len(d.lines) == 0 {
		d.fence.lose(errors.New("stopped"))
		close(d.fence.sure)
	}
	return d.notes.Intent(e)
}

// A step that was looked at before the run got its lock from another run is looked at again
// before it is written, and only then.
func TestLooksAgainBehindAnotherRun(t *testing.T) {
	for _, moved := range []bool{true, false} {
		f := newFence()
		f.moved = moved
		var done atomic.Bool
		writes := 0
		n := node("a", nil, toggle("a/x", &done, func(context.Context) error { writes++; return nil }))
		res, err := run.Run(t.Context(), []run.Node{n}, run.Options{Fence: f, BeforeFirstWrite: func(context.Context, func(string)) error {
			if moved {
				done.Store(true) // by the other run
			}
			return nil
		}})
		want, state := 1, run.Changed
		if moved {
			want, state = 0, run.Unchanged
		}
		if err != nil || writes != want || res.Steps[0].State != state || res.Steps[0].Retries != 0 {
			t.Errorf("moved %v: %d writes, %+v, %v", moved, writes, res.Steps[0], err)
		}
	}
}
