package e2e

import (
	"testing"
	"time"
)

// The limits that the model is about, each where it is the one that counts.
func TestPredict(t *testing.T) {
	fast := requestLimits{QPS: 300, Burst: 600}
	const second = time.Second
	for _, tc := range []struct {
		name     string
		limits   requestLimits
		load     waveLoad
		from, to time.Duration
	}{
		// A second until the pods are counted, and one for the conditions.
		{"one cluster", defaultLimits(), waveLoad{Clusters: 1, Parallel: 1, Run: 60 * second}, 62 * second, 63 * second},
		// Each pod is replaced a second after its end, at most.
		{"one after the other", defaultLimits(), waveLoad{Clusters: 100, Parallel: 1, Run: 60 * second}, 6100 * second, 6105 * second},
		// The runs, the batching, and the start of each.
		{"bound by the runs", fast, waveLoad{Clusters: 200, Parallel: 20, Run: 15 * second, Start: second}, 165 * second, 175 * second},
		// 2 requests a pod at 20 a second: 1,000 take 100 s at least.
		{"bound by the limiter", defaultLimits(), waveLoad{Clusters: 1000, Parallel: 100, Run: 2 * second}, 100 * second, 125 * second},
		{"with more requests a second", requestLimits{QPS: 100, Burst: 200}, waveLoad{Clusters: 1000, Parallel: 100, Run: 2 * second}, 30 * second, 45 * second},
		// 500 a sync.
		{"all at once", requestLimits{QPS: 1e6, Burst: 1e6}, waveLoad{Clusters: 1500, Parallel: 1500, Run: 10 * second}, 13 * second, 15 * second},
		// 10 s, 20 s and 40 s between four tries of 5 s.
		{"back-off", fast, waveLoad{Clusters: 1, Parallel: 1, Run: 5 * second, Retries: 3, Failing: 1}, 90 * second, 97 * second},
		// Nine tries: the back-off is 10 min at the end.
		{"the longest back-off", fast, waveLoad{Clusters: 1, Parallel: 1, Run: second, Retries: 8, Failing: 1}, (630 + 600 + 600) * second, (630 + 600 + 630) * second},
		// Those that wait for another try leave their room to others.
		{"failures beside", fast, waveLoad{Clusters: 20, Parallel: 2, Run: 10 * second, Retries: 1, Failing: 2}, 110 * second, 125 * second},
	} {
		p := predict(tc.limits, tc.load)
		if p.Wall < tc.from || p.Wall > tc.to {
			t.Errorf("%s: %v, want %v to %v", tc.name, p.Wall, tc.from, tc.to)
		}
		if n := float64(p.Requests) / float64(tc.load.Clusters); tc.load.Clusters >= 100 && (n < 2 || n > 5) {
			t.Errorf("%s: %.1f requests a cluster", tc.name, n)
		}
	}
}
