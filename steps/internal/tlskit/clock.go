package tlskit

import "time"

// A Clock returns the time at which certificates are verified; nil is the
// machine's clock.
type Clock func() time.Time

func (c Clock) now() time.Time {
	if c == nil {
		return time.Now()
	}
	return c()
}
