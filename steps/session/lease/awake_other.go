//go:build !linux

package lease

import "time"

// newClock returns a clock that goes on while the machine is suspended: whichever
// went further, the monotonic clock, which may stop then, or the wall clock,
// which may be set. Set forward, it makes a lock look older than it is, until its
// next renewal.
func newClock() func() time.Duration {
	start := time.Now()
	return func() time.Duration {
		now := time.Now()
		return max(now.Sub(start), now.Round(0).Sub(start.Round(0)))
	}
}
