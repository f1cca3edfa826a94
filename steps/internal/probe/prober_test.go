package probe

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// probing returns a prober of one server that answers with status.
func probing(t *testing.T, http string, status *atomic.Int64) *Prober {
	t.Helper()
	root := tlstest.NewCA(t, "Root CA Lab")
	pair := root.Issue(t, tlstest.Leaf{Names: []string{"hello.example.local"}})
	address := tlstest.NewServer(t, pair, answer(status)).Listen()
	trust, err := tlskit.NewTrust(root.Cert)
	if err != nil {
		t.Fatal(err)
	}
	u, err := tlskit.ParseURL("https://hello.example.local/")
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{
		URL: u, Trust: trust, HTTP: http, Endpoints: []tlskit.Endpoint{tlskit.Address(address)}, Rate: 100, Timeout: 10 * time.Second, Now: time.Now,
	})
}

func answer(status *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) })
}

// The connections of an automatic prober offer both versions of HTTP in turn, and
// a status of 400 is a failure of class http.
func TestSamples(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusOK)
	p := probing(t, "auto", &status)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg engine.Group
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { p.Run(ctx) })
	versions := make(map[string]bool)
	var floor time.Time // no probe under way was started before it, when that was asked last
	for n := 0; n < 20 || len(versions) < 2; n++ {
		s := <-p.Samples()
		if s.Failure != nil || s.Leaf == nil || len(s.Verified) != 2 {
			t.Fatalf("sample %+v, want a verified certificate", s)
		}
		if s.Start.Before(floor) {
			t.Errorf("a sample from %s came after the oldest probe was from %s", s.Start, floor)
		}
		asked := time.Now()
		if oldest, ok := p.Oldest(); ok {
			floor = oldest
		} else {
			floor = asked
		}
		versions[s.Protocol] = true
	}
	status.Store(http.StatusBadRequest)
	for {
		if s := <-p.Samples(); s.Failure != nil {
			if s.Failure.Class != tlskit.ClassHTTP || s.Leaf == nil {
				t.Errorf("sample %+v, want a failure of class http and the certificate", s)
			}
			return
		}
	}
}

// A keep-alive connection goes on answering whatever the status; the statistics
// wait for an answer of each connection that is not lost.
func TestKeepAlive(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusServiceUnavailable)
	p := probing(t, "auto", &status)
	ctx, cancel := context.WithCancel(t.Context())
	var wg engine.Group
	defer wg.Wait()
	defer cancel()
	answers := p.KeepAlive(ctx, &wg)
	var s Statistics
	opened := make(map[connection]time.Time)
	for len(opened) < 2 || s.Answered < 6 {
		a := <-answers
		s.Add(a)
		key := connection{a.Endpoint, a.Protocol}
		if known := opened[key]; !known.IsZero() && !known.Equal(a.Opened) {
			t.Errorf("the %s connection was replaced", a.Protocol)
		}
		opened[key] = a.Opened
	}
	if len(s.Failures) > 0 {
		t.Fatalf("failures %v, want none", s.Failures)
	}
	last := time.Now()
	if s.AnsweredSince(last) {
		t.Error("answered since now, want not yet")
	}
	for !s.AnsweredSince(last) {
		s.Add(<-answers)
	}
	s.Add(Answer{Protocol: tlskit.HTTP1, Start: time.Now(), Failure: &tlskit.Failure{}})
	if len(s.Failures) != 1 || len(s.newest) != 1 {
		t.Errorf("%d failures and %d connections, want 1 and 1", len(s.Failures), len(s.newest))
	}
}

// Bursts end when the doubt is small enough.
func TestBurstsReachTheDoubt(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusOK)
	p := probing(t, tlskit.OnlyHTTP1, &status)
	ctx, cancel := context.WithCancel(t.Context())
	var wg engine.Group
	defer wg.Wait()
	defer cancel()
	r := NewRecord(p.Endpoints, Assumed(4), Limits{ConsecutiveNew: 2, MaxDoubt: 0.001, Timeout: p.Timeout}, time.Now())
	bursts := NewBursts(p, &wg)
	wg.Go(func() { p.Run(ctx) })
	first := <-p.Samples()
	r.Add(first)
	r.Aim(first.Leaf)
	for !r.Settled(first.Leaf) {
		bursts.Continue(ctx, r)
		select {
		case s := <-p.Samples():
			r.Add(s)
		case w := <-bursts.Ended():
			r.EndWave(w)
		}
	}
	if d := r.Doubt(); d > 0.001 || len(r.Lacking()) > 0 {
		t.Errorf("doubt %g, %v, want at most 0.001", d, r.Lacking())
	}
}

// A search that fails changes nothing, one at a time is under way, and its age is
// that of its beginning.
func TestDiscovery(t *testing.T) {
	now := time.Unix(100, 0)
	var fail atomic.Bool
	var wg engine.Group
	defer wg.Wait()
	pods := []tlskit.Endpoint{tlskit.Address("127.0.0.1:1"), tlskit.Address("127.0.0.1:2")}
	d := NewDiscovery(func(context.Context) (Servers, error) {
		if fail.Load() {
			return Servers{}, context.DeadlineExceeded
		}
		return Servers{Workers: 3, Count: 2, Replicas: pods}, nil
	}, func() time.Time { return now }, &wg)
	found, err := d.First(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecord([]tlskit.Endpoint{tlskit.Address("127.0.0.1:3")}, found, Limits{}, now)
	fail.Store(true)
	for _, want := range []bool{false, true} {
		d.Refresh(t.Context())
		d.Refresh(t.Context())
		if err := d.Handle(<-d.Found(), r); err != nil {
			t.Fatal(err)
		}
		if d.Since(now) != want {
			t.Errorf("since now: %t, want %t", !want, want)
		}
		fail.Store(false)
	}
	if n := len(r.groups); n != 3 || r.groups[0].servers != 2 || r.groups[1].servers != 3 {
		t.Errorf("%d groups, want the address for 2 pods and each pod for 3 workers", n)
	}
	if err := (Servers{Sticky: true, Count: 2}).Check(); err == nil {
		t.Error("a sticky Service whose pods cannot be reached is accepted")
	}
}
