package lease

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"github.com/ztplan/ztplan/engine"
)

// server keeps one Lease, with the API server's rule for resourceVersions.
type server struct {
	coordinationclient.LeaseInterface // the rest of the methods are not used

	mu      sync.Mutex
	lease   *coordinationv1.Lease
	version int
	down    error
	writes  int
	before  func() // runs once, before the next write
}

var resource = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

// Leases makes the server the client of every namespace.
func (s *server) Leases(string) coordinationclient.LeaseInterface { return s }

func (s *server) Get(_ context.Context, name string, _ metav1.GetOptions) (*coordinationv1.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.down != nil:
		return nil, s.down
	case s.lease == nil:
		return nil, apierrors.NewNotFound(resource, name)
	}
	return s.lease.DeepCopy(), nil
}

func (s *server) Create(_ context.Context, l *coordinationv1.Lease, _ metav1.CreateOptions) (*coordinationv1.Lease, error) {
	return s.write(l, func() error {
		if s.lease != nil {
			return apierrors.NewAlreadyExists(resource, l.Name)
		}
		return nil
	})
}

func (s *server) Update(ctx context.Context, l *coordinationv1.Lease, _ metav1.UpdateOptions) (*coordinationv1.Lease, error) {
	if !engine.WritesAllowed(ctx) && ctx.Done() != nil {
		return nil, errors.New("a write without permission")
	}
	return s.write(l, func() error {
		switch {
		case s.lease == nil:
			return apierrors.NewNotFound(resource, l.Name)
		case s.lease.ResourceVersion != l.ResourceVersion:
			return apierrors.NewConflict(resource, l.Name, errors.New("the object has been modified"))
		}
		return nil
	})
}

func (s *server) write(l *coordinationv1.Lease, check func() error) (*coordinationv1.Lease, error) {
	s.mu.Lock()
	before := s.before
	s.before = nil
	s.mu.Unlock()
	if before != nil {
		before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return nil, s.down
	}
	if err := check(); err != nil {
		return nil, err
	}
	s.version++
	s.writes++
	s.lease = l.DeepCopy()
	s.lease.ResourceVersion = strconv.Itoa(s.version)
	return s.lease.DeepCopy(), nil
}

// set changes the server under its lock.
func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) holder() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil || s.lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *s.lease.Spec.HolderIdentity
}

func holder(run string) Holder { return Holder{User: "ana", Host: "build", PID: 7, Run: run} }

// take acquires the lock of plan demo for a run and keeps it.
func take(t *testing.T, s *server, run string, more func(*Request)) (*Lock, error) {
	t.Helper()
	req := Request{Namespace: "default", Plan: "demo", Holder: holder(run)}
	if more != nil {
		more(&req)
	}
	start := time.Now()
	l := newLock(s, time.Now, func() time.Duration { return time.Since(start) }, req)
	if err := l.acquire(engine.AllowWrites(t.Context())); err != nil {
		return nil, err
	}
	l.start()
	return l, nil
}

func mustTake(t *testing.T, s *server, run string, more func(*Request)) *Lock {
	t.Helper()
	l, err := take(t, s, run, more)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTheSecondIsToldWhoHoldsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		first := mustTake(t, s, "r1", nil)
		time.Sleep(5 * time.Minute) // renewed all the time
		_, err := take(t, s, "r2", nil)
		var held *HeldError
		if !errors.As(err, &held) || !errors.Is(err, engine.ErrPermanent) {
			t.Fatalf("err %v", err)
		}
		for _, want := range []string{"ana@build pid 7 run r1", "(5m0s ago)", "default/ztplan-demo", "2000-01-01T00:00:00Z"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
		if hint := engine.HintOf(err); !strings.Contains(hint, "--no-lock") || !strings.Contains(hint, "frees itself in ") {
			t.Errorf("hint %q", hint)
		}
		if held.Free <= 0 || held.Free > Duration {
			t.Errorf("free in %v", held.Free)
		}
		if err := first.Release(t.Context()); err != nil || s.holder() != "" {
			t.Errorf("released: %v, holder %q", err, s.holder())
		}
		second := mustTake(t, s, "r2", nil)
		if n := *s.lease.Spec.LeaseTransitions; n != 1 {
			t.Errorf("%d transitions", n)
		}
		if err := second.Release(t.Context()); err != nil {
			t.Error(err)
		}
		writes := s.writes
		time.Sleep(5 * time.Minute)
		if s.writes != writes {
			t.Error("a released lock is renewed")
		}
	})
}

func TestADeadHolderIsSucceeded(t *testing.T) {
	for _, tc := range []struct {
		name  string
		dead  func(string) bool
		after time.Duration // since the holder's last renewal
		taken bool
	}{
		{"at once", nil, 0, false},
		{"just not", nil, Duration - time.Second, false},
		{"expired", nil, Duration, true},
		{"known to be dead", func(run string) bool { return run == "r1" }, 0, true},
		{"another is dead", func(run string) bool { return run == "r0" }, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server)
				killed := mustTake(t, s, "r1", nil)
				killed.stop() // as kill -9: it does not give the lock back
				time.Sleep(tc.after)
				l, err := take(t, s, "r2", func(r *Request) { r.Dead = tc.dead })
				if (err == nil) != tc.taken {
					t.Fatalf("err %v", err)
				}
				if l != nil {
					if s.holder() != holder("r2").String() {
						t.Errorf("holder %q", s.holder())
					}
					l.stop()
				}
			})
		})
	}
}

func TestOfTwoAtOnceOneGetsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		killed := mustTake(t, s, "r1", nil)
		killed.stop()
		time.Sleep(Duration)
		var other *Lock
		s.before = func() { other = mustTake(t, s, "r2", nil) } // between the look and the write
		_, err := take(t, s, "r3", nil)
		var held *HeldError
		if !errors.As(err, &held) || held.Holder != holder("r2").String() {
			t.Errorf("err %v", err)
		}
		other.stop()

		fresh := new(server)
		fresh.before = func() { other = mustTake(t, fresh, "r2", nil) }
		if _, err := take(t, fresh, "r3", nil); !errors.As(err, &held) {
			t.Errorf("two that create it: err %v", err)
		}
		other.stop()
	})
}

func TestLosing(t *testing.T) {
	refused := errors.New("connection refused")
	for _, tc := range []struct {
		name string
		what func(*server)
		lost string // "" means that it is kept
	}{
		{"outage", func(s *server) {
			s.down = refused
			time.AfterFunc(2*time.Minute, func() { s.set(func() { s.down = nil }) })
		}, ""},
		{"outage, and an answer that was lost", func(s *server) {
			now := metav1.NewMicroTime(time.Now())
			s.version++
			s.lease.Spec.RenewTime, s.lease.ResourceVersion = &now, strconv.Itoa(s.version)
			s.down = refused
			time.AfterFunc(2*time.Minute, func() { s.set(func() { s.down = nil }) })
		}, ""},
		{"taken over", func(s *server) {
			by := "eve@elsewhere pid 1 run x"
			s.version++
			s.lease.Spec.HolderIdentity, s.lease.ResourceVersion = &by, strconv.Itoa(s.version)
		}, "lease default/ztplan-demo is held by eve@elsewhere pid 1 run x now"},
		{"taken over and given back", func(s *server) {
			by := ""
			s.version++
			s.lease.Spec.HolderIdentity, s.lease.ResourceVersion = &by, strconv.Itoa(s.version)
		}, "lease default/ztplan-demo was taken over by another run, which is over"},
		{"deleted", func(s *server) { s.lease = nil }, "lease default/ztplan-demo was deleted"},
		{"touched", func(s *server) {
			s.version++
			s.lease.Labels, s.lease.ResourceVersion = map[string]string{"a": "b"}, strconv.Itoa(s.version)
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server)
				var lost []error
				var when time.Time
				l := mustTake(t, s, "r1", func(r *Request) { r.Lost = func(err error) { lost, when = append(lost, err), time.Now() } })
				time.Sleep(time.Minute + time.Second)
				began := time.Now()
				s.set(func() { tc.what(s) })
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if tc.lost == "" {
					if lost != nil || l.Err() != nil {
						t.Errorf("lost: %v", lost)
					}
					if err := l.Release(t.Context()); err != nil || s.holder() != "" {
						t.Errorf("release: %v; holder %q", err, s.holder())
					}
					return
				}
				if len(lost) != 1 || !errors.Is(l.Err(), lost[0]) || !strings.Contains(lost[0].Error(), "run lock lost: "+tc.lost) {
					t.Fatalf("lost %v, err %v", lost, l.Err())
				}
				if d := when.Sub(began); d > Duration/3 {
					t.Errorf("known after %v", d)
				}
				if engine.HintOf(lost[0]) == "" {
					t.Error("no hint")
				}
				writes := s.writes
				if err := l.Release(t.Context()); err != nil || s.writes != writes {
					t.Errorf("a lost lock is given back: %v", err)
				}
			})
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, tc := range []struct {
		err       error
		hint      string
		permanent bool
	}{
		{apierrors.NewForbidden(resource, "ztplan-demo", errors.New("no")), "--lock-namespace", true},
		{apierrors.NewServiceUnavailable("starting"), "", false},
	} {
		s := &server{down: tc.err}
		_, err := take(t, s, "r", nil)
		if err == nil || errors.Is(err, engine.ErrPermanent) != tc.permanent || !strings.Contains(engine.HintOf(err), tc.hint) {
			t.Errorf("err %v, hint %q", err, engine.HintOf(err))
		}
	}
}

// A machine whose clock is wrong by minutes neither takes over a living lock nor
// writes times that make others do so.
func TestTheServersClockCounts(t *testing.T) {
	for _, ahead := range []time.Duration{0, 5 * time.Minute, -5 * time.Minute} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		}))
		clock := &serverClock{next: http.DefaultTransport}
		if d := time.Until(clock.now()).Abs(); d > time.Second {
			t.Errorf("before an answer: %v off", d)
		}
		req, _ := http.NewRequest(http.MethodGet, srv.URL, nil)
		resp, err := clock.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		srv.Close()
		if d := (time.Until(clock.now()) - ahead).Abs(); d > tolerance {
			t.Errorf("server %v ahead: %v off", ahead, d)
		}
	}
}

func TestNames(t *testing.T) {
	if got := (Request{Plan: "my_lab"}).lease(); got != "ztplan-my.lab" {
		t.Errorf("name %q", got)
	}
	if got := (Request{Plan: "lab", Vault: "vault/vault"}).lease(); got != "ztplan.vault.vault.vault" {
		t.Errorf("name %q", got)
	}
	h := Self("20260101T000000.000000Z-0a0b0c0d")
	if got := runIn(h.String()); got != h.Run {
		t.Errorf("run in %q: %q", h, got)
	}
	if got := runIn("cert-manager-controller"); got != "" {
		t.Errorf("run in a foreign name: %q", got)
	}
}
