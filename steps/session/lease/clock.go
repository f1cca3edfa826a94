package lease

import (
	"net/http"
	"sync/atomic"
	"time"
)

// tolerance is the error of a Date header: it has whole seconds, and the
// answer was under way for a moment.
const tolerance = 2 * time.Second

// serverClock is a transport that learns the server's time from its answers.
type serverClock struct {
	next   http.RoundTripper
	offset atomic.Int64 // nanoseconds that the server is ahead
}

func (c *serverClock) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err == nil {
		if date, derr := http.ParseTime(resp.Header.Get("Date")); derr == nil {
			offset := time.Until(date)
			if offset.Abs() <= tolerance {
				offset = 0
			}
			c.offset.Store(int64(offset))
		}
	}
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport below.
func (c *serverClock) WrappedRoundTripper() http.RoundTripper { return c.next }

// now is the server's time. Before the first answer it is this machine's.
func (c *serverClock) now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }
