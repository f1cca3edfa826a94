package probe

import (
	"crypto/x509"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A simulated gateway has workers that switch one after another and gives each
// new connection to one of them.
type simulated struct {
	switches []time.Duration // of each worker, after the Secret was written; never if negative
	pick     func(n int) int // the worker of the nth connection
}

// How a simulated gateway gives connections to its n workers.
var picks = []struct {
	name string
	of   func(rnd *rand.Rand, n int) func(int) int
}{
	{"at random", func(rnd *rand.Rand, n int) func(int) int { return func(int) int { return rnd.IntN(n) } }},
	{"in turn", func(rnd *rand.Rand, n int) func(int) int {
		from := rnd.IntN(n)
		return func(i int) int { return (from + i) % n }
	}},
	// Connections of one wave are open together: each goes to a worker with the
	// fewest, ties at random.
	{"least connections", func(rnd *rand.Rand, n int) func(int) int {
		var round []int
		return func(int) int {
			if len(round) == 0 {
				round = rnd.Perm(n)
			}
			w := round[0]
			round = round[1:]
			return w
		}
	}},
}

// prove applies the rule of a proof to the gateway: 20 connections a second, and
// bursts as the proof makes them, until the doubt is small enough or limit is
// over. It reports whether the rule was met while a worker was stale.
func (g *simulated) prove(workers int, maxDoubt float64, limit time.Duration) (met, wrong bool) {
	began := time.Unix(0, 0)
	r := NewRecord([]tlskit.Endpoint{tlskit.Address("127.0.0.1:443")}, Assumed(workers), Limits{ConsecutiveNew: 12, MaxDoubt: maxDoubt, Timeout: time.Second}, began)
	r.Aim(simNew)
	n := 0
	connect := func(at time.Duration) {
		leaf := simNew
		if s := g.switches[g.pick(n)]; s < 0 || at < s {
			leaf = simOld
		}
		n++
		r.Add(Sample{Start: began.Add(at), Handshake: 1, Total: 1, Leaf: leaf})
	}
	next, burst := time.Duration(0), time.Duration(0)
	for at := time.Duration(0); at < limit; {
		if at = min(next, max(burst, at+time.Microsecond)); at == next {
			connect(at)
			next += 50 * time.Millisecond
		}
		if r.Settled(simNew) {
			for _, s := range g.switches {
				wrong = wrong || s < 0 || s > at
			}
			return true, wrong
		}
		group := r.groups[0]
		if !r.shownEverywhere() || at < burst {
			burst = max(burst, at)
			if at < next {
				at = next - time.Microsecond
			}
			continue
		}
		wave := Wave{0, group.row, len(r.wanted(group))}
		for range wave.size {
			connect(at)
			at += time.Millisecond
		}
		r.EndWave(wave)
		burst = at + group.pause
		if r.Settled(simNew) {
			for _, s := range g.switches {
				wrong = wrong || s < 0 || s > at
			}
			return true, wrong
		}
	}
	return false, false
}

var simOld, simNew = simLeaf(1), simLeaf(2)

func simLeaf(serial int64) *x509.Certificate {
	return &x509.Certificate{Raw: []byte{byte(serial)}, SerialNumber: big.NewInt(serial)}
}

// The rate at which a proof ends although one worker of N is stale stays below
// the bound that the plan declares, over thousands of runs and whatever way the
// gateway gives out connections; a gateway without a stale worker is never held
// to be one.
func TestFalseVerdictsStayBelowTheDoubt(t *testing.T) {
	const maxDoubt = 0.05
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, pick := range picks {
		for _, n := range []int{1, 2, 3, 4, 8, 16, 32} {
			falsely, alarms := 0, 0
			for range simulations {
				g := &simulated{switches: make([]time.Duration, n), pick: pick.of(rnd, n)}
				for i := range g.switches {
					g.switches[i] = time.Duration(rnd.IntN(40)) * time.Millisecond // interleaved
				}
				if met, _ := g.prove(n, maxDoubt, 20*time.Second); !met {
					alarms++
				}
				stale := rnd.IntN(n)
				g.switches[stale] = -1
				if rnd.IntN(2) == 0 {
					g.switches[stale] = 2 * time.Second // late
				}
				if met, wrong := g.prove(n, maxDoubt, 3*time.Second); met && wrong {
					falsely++
				}
			}
			// Three standard deviations above the bound.
			most := simulations*maxDoubt + 3*math.Sqrt(simulations*maxDoubt*(1-maxDoubt))
			if float64(falsely) > most {
				t.Errorf("%s, %d workers: %d of %d proofs ended with a stale worker, want at most %.0f", pick.name, n, falsely, simulations, most)
			}
			if alarms > 0 {
				t.Errorf("%s, %d workers: %d of %d proofs without a stale worker did not end", pick.name, n, alarms, simulations)
			}
			t.Logf("%-18s N = %2d: %3d of %d false, %d alarms", pick.name, n, falsely, simulations, alarms)
		}
	}
}

// The servers behind an address may be fewer than assumed, never more doubtful
// than stated.
func TestLeastRow(t *testing.T) {
	for _, c := range []struct {
		servers, others int
		limit           float64
		want            int
	}{
		{1, 0, 0.001, 1}, {2, 0, 0.001, 11}, {4, 0, 0.001, 27}, {16, 0, 0.001, 118}, {16, 10, 0.001, 183}, {16, 0, 0.05, 58}, {64, 0, 0.001, 483},
	} {
		got := evidence.LeastRow(c.servers, c.others, c.limit)
		if got != c.want {
			t.Errorf("%d servers, %d interruptions, at most %g: %d in a row, want %d", c.servers, c.others, c.limit, got, c.want)
		}
		if d := evidence.Doubt(c.servers, got, c.others); d > c.limit {
			t.Errorf("%d servers: doubt %g after %d in a row, want at most %g", c.servers, d, got, c.limit)
		}
	}
}

func TestPercent(t *testing.T) {
	for p, want := range map[float64]string{0: "0 %", 1: "100 %", 0.5: "50 %", 0.001: "0.1 %", 0.9995: "99.95 %", 0.00001: "0.001 %", 0.99999: "more than 99.99 %"} {
		if got := evidence.Percent(p); got != want {
			t.Errorf("evidence.Percent(%g) = %s, want %s", p, got, want)
		}
	}
}
