package enginetest

import (
	"testing"
	"time"
)

// Ratio runs two functions in turn, and reports as unit how many times as long as the first
// the second takes.
func Ratio(b *testing.B, unit string, first, second func()) {
	var took [2]time.Duration
	for b.Loop() {
		for i, run := range []func(){first, second} {
			start := time.Now()
			run()
			took[i] += time.Since(start)
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), unit)
}
