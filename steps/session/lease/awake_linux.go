package lease

import (
	"time"

	"golang.org/x/sys/unix"
)

// newClock returns a clock that goes on while the machine is suspended, unlike
// the one that package time measures with (clock_gettime(2), CLOCK_BOOTTIME).
func newClock() func() time.Duration {
	return func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
			panic(err) // every Linux that Go runs on has this clock
		}
		return time.Duration(t.Nano())
	}
}
