package tlskit

import "time"

// A Clock tells the time that certificates are verified at; nil is the
// machine's clock.
type Clock func() time.Time

func (c Clock) now() time.Time {
	if c == nil {
		return time.Now()
	}
	return c()
}
