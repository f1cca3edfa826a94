package assertrotation_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// workers makes a replica give each connection to one of n workers at random,
// as a kernel does; the worker of rank 0 may be left behind with old. The same seed gives
// the same workers: a proof may be wrong with the doubt that it states, a test may not.
func (r *replica) workers(seed uint64, n int, old *tlstest.Pair, until time.Time) {
	random := rand.New(rand.NewPCG(seed, 1))
	var mu sync.Mutex
	r.pick = func(now *tlstest.Pair) *tlstest.Pair {
		mu.Lock()
		defer mu.Unlock()
		if old != nil && random.IntN(n) == 0 && (until.IsZero() || time.Now().Before(until)) {
			return old
		}
		return now
	}
}

// A row of twelve is no proof: with one stale worker of eight, nearly every proof
// would find such a row in time.
func TestStaleWorker(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			defer w.close()
			w.replicas[0].workers(seed, 8, w.pair, time.Time{})
			s := w.newSpec()
			s.Probe.Workers = 8
			r, err := w.prove(s, time.Minute)
			if v := r.violated(); len(v) != 2 || !strings.HasPrefix(v[0], "every address serves") || !strings.HasPrefix(v[1], "the switch takes at most") {
				t.Fatalf("violated: %q, error %v", v, err)
			}
			if !strings.Contains(engine.HintOf(err), "the next update of the object") || !strings.Contains(engine.HintOf(err), "restart of the gateway's pods") {
				t.Errorf("hint %q does not name both cures", engine.HintOf(err))
			}
			if f := r.find("the switch takes"); !strings.Contains(f.Detail, "did not come by itself within 6s either") {
				t.Errorf("the switch: %s", f.Detail)
			}
		})
	}
}

// A worker that is late is distinguished from one that never comes.
func TestLateWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.replicas[0].workers(1, 4, w.pair, time.Now().Add(8*time.Second))
		s := w.newSpec()
		s.Probe.Workers, s.MaxLate = 4, engine.Duration(30*time.Second)
		r, err := w.prove(s, time.Minute)
		if v := r.violated(); len(v) != 1 || v[0] != "the switch takes at most 5s" {
			t.Fatalf("violated: %q, error %v", v, err)
		}
		if f := r.find("the switch takes"); !strings.Contains(f.Detail, "was late, and did come by itself") {
			t.Errorf("the switch: %s", f.Detail)
		}
		if hint := engine.HintOf(err); !strings.Contains(hint, "watch_timeout") {
			t.Errorf("hint %q", hint)
		}
	})
}

// pods returns ways to replicas by themselves.
func pods(list ...*replica) []tlskit.Endpoint {
	var out []tlskit.Endpoint
	for i, r := range list {
		out = append(out, tlskit.NewEndpoint("pod ingress-apisix/apisix-"+string(rune('a'+i))+":9443", r.dial))
	}
	return out
}

// A replica to which the address never leads from here, as sessionAffinity does
// it, is looked at by itself.
func TestStaleReplicaBehindTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		hidden := newReplica(t, w.pair)
		defer hidden.server.Close()
		w.behind = func() assertrotation.Behind {
			return assertrotation.Behind{Count: 2, Sticky: true, Pods: pods(w.replicas[0], hidden)}
		}
		r, err := w.prove(w.newSpec(), time.Minute)
		if f := r.find("every address serves"); f.Holds || !strings.Contains(f.Detail, "pod ingress-apisix/apisix-b:9443 never showed it") {
			t.Errorf("a stale replica was not found: %s (%v)", f.Detail, err)
		}
	})
}

// When all replicas have the certificate, the evidence names each of them.
func TestReplicasAreSeenOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		w.behind = func() assertrotation.Behind {
			return assertrotation.Behind{Count: 2, Pods: pods(w.replicas...)}
		}
		r, err := w.prove(w.newSpec(), time.Minute)
		if err != nil || r.violated() != nil {
			t.Fatalf("violated: %q, error %v", r.violated(), err)
		}
		rec := r.records[0]
		if len(rec.Looks) != 2 || len(rec.Coverage) != 3 || rec.Workers != 2 || rec.WorkersFrom != "plan" {
			t.Fatalf("%d pods, coverage %+v, %d workers from %s", len(rec.Looks), rec.Coverage, rec.Workers, rec.WorkersFrom)
		}
		for _, c := range rec.Coverage {
			if c.Servers != 2 || c.Row < 11 || c.Doubt > 0.001 || c.Doubt == 0 {
				t.Errorf("coverage %+v", c)
			}
		}
	})
}

// A pod that came after the beginning is looked at, too.
func TestReplicaThatCameLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		late := newReplica(t, w.pair)
		defer late.server.Close()
		asked := 0
		w.behind = func() assertrotation.Behind {
			if asked++; asked == 1 {
				return assertrotation.Behind{Count: 1}
			}
			return assertrotation.Behind{Count: 2, Pods: pods(w.replicas[0], late)}
		}
		r, _ := w.prove(w.newSpec(), time.Minute)
		if f := r.find("every address serves"); f.Holds || !strings.Contains(f.Detail, "apisix-b:9443 never showed it") {
			t.Errorf("a replica that came later was not looked at: %s", f.Detail)
		}
	})
}

// Replicas that cannot be looked at count as servers behind the address; with
// sessionAffinity nothing is known of them.
func TestReplicasThatCannotBeSeen(t *testing.T) {
	for _, sticky := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			defer w.close()
			w.behind = func() assertrotation.Behind {
				return assertrotation.Behind{Count: 3, Sticky: sticky, Problem: "pods/portforward is forbidden"}
			}
			r, err := w.prove(w.newSpec(), time.Minute)
			if sticky {
				if err == nil || !strings.Contains(err.Error(), "sessionAffinity ClientIP") || !strings.Contains(engine.HintOf(err), "pods/portforward") {
					t.Errorf("error %v, hint %q", err, engine.HintOf(err))
				}
				return
			}
			if err != nil || r.violated() != nil {
				t.Fatalf("violated: %q, error %v", r.violated(), err)
			}
			if f := r.find("a stale server would be seen"); !strings.Contains(f.Detail, "among 6 ") || !strings.Contains(f.Detail, "in each of 3 pods; the pods cannot be looked at one by one: pods/portforward is forbidden") {
				t.Errorf("doubt: %s", f.Detail)
			}
		})
	}
}
