package lease

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// The API server is away for longer than the lock holds, and no other run took it:
// no edit starts meanwhile, the one under way ends before others may take over,
// and then the run goes on.
func TestAnOutageIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		l := mustTake(t, s, "r1", func(r *Request) { r.Lost = func(err error) { t.Errorf("lost: %v", err) } })
		edit, release := l.Enclose(engine.AllowWrites(t.Context()))
		defer release()
		began := time.Now() // of the last renewal
		s.set(func() { s.down = errors.New("connection refused") })
		time.AfterFunc(40*time.Second, func() { s.set(func() { s.down = nil }) })

		<-edit.Done()
		if d := time.Since(began); d >= Duration || d < Duration/2 {
			t.Errorf("the edit ended after %v; others may take over after %v", d, Duration)
		}
		if err := engine.WriteCheck(edit); err == nil || context.Cause(edit).Error() != err.Error() {
			t.Errorf("it may write: %v; ended because %v", err, context.Cause(edit))
		}
		var said []string
		if err := l.Wait(t.Context(), func(text string) { said = append(said, text) }); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 40*time.Second || d > 40*time.Second+2*again {
			t.Errorf("the next edit starts after %v", d)
		}
		if len(said) != 1 || !strings.Contains(said[0], "the run lock was renewed 25s ago (connection refused): nothing is written until it is renewed") {
			t.Errorf("said %q", said)
		}
		next, release := l.Enclose(t.Context())
		if err := engine.WriteCheck(next); err != nil || next.Err() != nil {
			t.Errorf("%v, %v", err, next.Err())
		}
		release()
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// An edit that takes longer than the lock holds goes on as long as the lock is
// renewed.
func TestALongEditIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := mustTake(t, new(server), "r1", nil)
		edit, release := l.Enclose(t.Context())
		time.Sleep(10 * Duration)
		if edit.Err() != nil {
			t.Errorf("cut off: %v", context.Cause(edit))
		}
		release()
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// After a suspend, which the timers of this process do not count, the lock is too
// old at once; it is renewed as soon as an edit waits, and not at the next turn.
func TestASuspendIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, start, asleep := new(server), time.Now(), time.Duration(0)
		l := newLock(s, time.Now, func() time.Duration { return time.Since(start) + asleep }, Request{Namespace: "default", Plan: "demo", Holder: holder("r1")})
		if err := l.acquire(engine.AllowWrites(t.Context())); err != nil {
			t.Fatal(err)
		}
		asleep = time.Hour
		if err := l.Check(); err == nil || !strings.Contains(err.Error(), "renewed 1h0m0s ago") {
			t.Fatalf("after an hour: %v", err)
		}
		l.start()
		woken := time.Now()
		if err := l.Wait(t.Context(), func(string) {}); err != nil || time.Since(woken) != 0 {
			t.Errorf("%v, renewed after %v", err, time.Since(woken))
		}

		by := "eve@elsewhere pid 1 run x"
		s.set(func() { s.lease.Spec.HolderIdentity, s.lease.ResourceVersion = &by, "other" })
		asleep = 2 * time.Hour
		if err := l.Wait(t.Context(), func(string) {}); !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), by) {
			t.Errorf("taken over: %v", err)
		}
		l.stop()
	})
}

func TestWaitingForAnOutageEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		l := mustTake(t, s, "r1", nil)
		s.set(func() { s.down = errors.New("connection refused") })
		time.Sleep(Duration)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.Wait(ctx, func(string) {}); err == nil || errors.Is(err, engine.ErrPermanent) || l.Err() != nil {
			t.Errorf("%v, lost %v", err, l.Err())
		}
		l.stop()
	})
}

// A run that gets the lock after another one had it looks again; one that begins
// when the other is over does not.
func TestMoved(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(*Lock)
		wait time.Duration // between the end of the other run and the start of this one
		want bool
	}{
		{"released before", func(l *Lock) { _ = l.Release(context.Background()) }, time.Minute, false},
		{"released after this one began", func(l *Lock) { _ = l.Release(context.Background()) }, 0, true},
		{"killed long before", func(l *Lock) { l.stop() }, 2 * Duration, false},
		{"killed just before", func(l *Lock) { l.stop() }, 5 * time.Second, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(server)
			first := mustTake(t, s, "r1", nil)
			time.Sleep(5 * time.Minute)
			tc.end(first)
			time.Sleep(tc.wait)
			l := mustTake(t, s, "r2", func(r *Request) { r.Since, r.Dead = time.Now(), func(string) bool { return true } })
			if l.Moved() != tc.want {
				t.Errorf("%s: %v", tc.name, l.Moved())
			}
			l.stop()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		s.before = func() {
			_ = mustTake(t, s, "r1", nil).Release(context.Background())
		}
		l := mustTake(t, s, "r2", func(r *Request) { r.Since = time.Now() })
		if !l.Moved() {
			t.Error("another was quicker and is over: not moved")
		}
		l.stop()
	})
}
