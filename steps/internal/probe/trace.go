package probe

import (
	"cmp"
	"slices"
	"time"
)

// How many runs of probes a trace keeps in memory, how many of them go on
// record, and how many of the newest are never merged.
const (
	mostRuns     = 1 << 16
	mostRecorded = 2000
	neverMerged  = 200
)

// A trace keeps every probe of one address in one record. When there are very
// many, older ones are merged into runs; the longest gap stays exact.
type trace struct {
	limit time.Duration // of one probe: those begun longer ago have arrived
	most  int           // runs; above it older ones are merged
	runs  []run         // ordered by their start up to done, then as they arrived
	done  int

	// Of the runs up to done: the start of the newest success, and the longest
	// time between two.
	good    time.Duration
	anyGood bool
	gap     time.Duration
}

// A run is one probe, or several with the same result.
type run struct {
	first time.Duration // start of the first one, since the rotation began
	took  time.Duration // duration of all together
	count int
	cert  string // fingerprint of the certificate; "" if they failed
	shown string // fingerprint of the certificate before a request that failed
	class string // of the failure
}

func (r run) mean() time.Duration { return r.took / time.Duration(r.count) }

func newTrace(limit time.Duration) *trace { return &trace{limit: limit, most: mostRuns} }

// add keeps a probe.
func (t *trace) add(r run) {
	if len(t.runs) >= t.most {
		t.close(r.first - t.limit)
		older := thin(t.runs[:t.done], t.most/4, neverMerged)
		t.runs = append(older, t.runs[t.done:]...)
		t.done = len(older)
		// Probes that differ in turns cannot be merged: they take more memory.
		t.most = max(t.most, 2*len(t.runs))
	}
	t.runs = append(t.runs, r)
}

// close brings the probes that began before until into their order and measures
// the gaps between them.
func (t *trace) close(until time.Duration) {
	rest := t.runs[t.done:]
	slices.SortStableFunc(rest, func(a, b run) int { return cmp.Compare(a.first, b.first) })
	for _, r := range rest {
		if r.first >= until {
			return
		}
		t.done++
		if r.cert == "" {
			continue
		}
		if t.anyGood {
			t.gap = max(t.gap, r.first-t.good)
		}
		t.good, t.anyGood = r.first, true
	}
}

// longest returns the longest time without a success in a rotation that took
// length, all of which is closed.
func (t *trace) longest(length time.Duration) time.Duration {
	if !t.anyGood {
		return max(length, 0)
	}
	first := slices.IndexFunc(t.runs, func(r run) bool { return r.cert != "" })
	return max(t.gap, t.runs[first].first, length-t.good)
}

// thin merges neighbours so that about most runs are left: in each group
// of neighbours one run for each certificate and each class of failure, in the
// order in which they began. The newest ones, as many as newest, stay as they are.
func thin(runs []run, most, newest int) []run {
	if len(runs) <= most || len(runs) <= newest {
		return slices.Clone(runs)
	}
	head, tail := runs[:len(runs)-newest], runs[len(runs)-newest:]
	width := (len(head) + most - 1) / most
	out := make([]run, 0, most+newest)
	for group := range slices.Chunk(head, max(width, 1)) {
		begin := len(out)
		for _, r := range group {
			i := slices.IndexFunc(out[begin:], func(o run) bool { return o.cert == r.cert && o.class == r.class && o.shown == r.shown })
			if i < 0 {
				out = append(out, r)
				continue
			}
			out[begin+i].took += r.took
			out[begin+i].count += r.count
		}
	}
	return append(out, tail...)
}

// percentiles returns the durations below which 50, 90 and 99 % of the
// successful handshakes lie that are in the phase, and the longest, in seconds;
// nil if there are none.
func percentiles(runs []run, in func(run) bool) map[string]float64 {
	type weighed struct {
		took  time.Duration
		count int
	}
	var list []weighed
	total := 0
	for _, r := range runs {
		if r.cert != "" && in(r) {
			list = append(list, weighed{r.mean(), r.count})
			total += r.count
		}
	}
	if total == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b weighed) int { return cmp.Compare(a.took, b.took) })
	at := func(share float64) float64 {
		left := share * float64(total)
		for _, w := range list {
			if left -= float64(w.count); left <= 0 {
				return w.took.Seconds()
			}
		}
		return list[len(list)-1].took.Seconds()
	}
	return map[string]float64{"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": list[len(list)-1].took.Seconds()}
}
