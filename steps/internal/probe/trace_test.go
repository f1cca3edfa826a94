package probe

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// However many probes there are, memory is bounded, and counts, the longest gap
// and the newest probe stay exact, though probes arrive out of order.
func TestTraceIsBounded(t *testing.T) {
	const n = 20000
	tr := newTrace(50 * time.Millisecond)
	tr.most = 1000
	for i := range n {
		at := time.Duration(i) * time.Millisecond
		if i > n/2 {
			at += 700 * time.Millisecond // the gap
		}
		if i%2 == 0 { // every second one overtakes the one before
			at += 3 * time.Millisecond
		}
		r := run{first: at, took: time.Millisecond, count: 1, cert: "old"}
		switch {
		case i > n*3/4:
			r.cert = "new"
		case i%1000 == 999:
			r.cert, r.class = "", "dial"
		}
		tr.add(r)
		if len(tr.runs) > tr.most || tr.most > 2000 {
			t.Fatalf("%d runs are kept, most %d", len(tr.runs), tr.most)
		}
	}
	tr.close(math.MaxInt64)
	counts := make(map[string]int)
	for _, list := range [][]run{tr.runs, thin(tr.runs, 300, neverMerged)} {
		clear(counts)
		for i, r := range list {
			counts[r.cert+r.class] += r.count
			if i > 0 && r.first < list[i-1].first {
				t.Fatalf("run %d begins before the one before it", i)
			}
		}
		if d := cmp.Diff(map[string]int{"old": 14986, "new": 4999, "dial": 15}, counts); d != "" {
			t.Errorf("counts: -want +got:\n%s", d)
		}
	}
	if got := tr.gap; got < 695*time.Millisecond || got > 705*time.Millisecond {
		t.Errorf("gap = %s, want about 700ms", got)
	}
	if got := tr.longest(30 * time.Second); got < 9*time.Second || got > 10*time.Second {
		t.Errorf("with the silence at the end it is %s, want 9 to 10 s", got)
	}
}

func TestPercentiles(t *testing.T) {
	var runs []run
	for i := range 100 {
		runs = append(runs, run{first: time.Duration(i), took: time.Duration(100-i) * time.Second, count: 1, cert: "x"})
	}
	runs = append(runs, run{first: 1, took: time.Hour, count: 1, class: "timeout"})
	all := func(run) bool { return true }
	want := map[string]float64{"p50": 50, "p90": 90, "p99": 99, "max": 100}
	if d := cmp.Diff(want, percentiles(runs, all)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if got := percentiles(runs, func(run) bool { return false }); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}
