package certwatch

import (
	"net/http"
	"sync"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
)

// resolution is that of times in objects and in the header Date.
const resolution = time.Second

// apiServers is how far the clocks of the API servers of one cluster may be
// apart: any of them answers, and any of them writes a time into an object.
const apiServers = 100 * time.Millisecond

// A Clock bounds how far the API server's clock is ahead of this machine's
// by the header Date of its answers: each was written between the request and
// the answer. The more answers, the closer. Answers that contradict each other
// mean that nothing is known. It is safe for concurrent use.
type Clock struct {
	now func() time.Time

	mu          sync.Mutex
	heard, lost bool
	least, most time.Duration
}

// NewClock returns a clock that compares with now. Nothing is known of the server's
// clock yet.
func NewClock(now func() time.Time) *Clock { return &Clock{now: now} }

// Note uses the date in an answer.
func (c *Clock) Note(asked, answered, date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	least := date.Sub(answered) - apiServers
	most := date.Add(resolution).Sub(asked) + apiServers
	if c.heard {
		least, most = max(least, c.least), min(most, c.most)
	}
	c.heard, c.least, c.most = true, least, most
	c.lost = c.lost || least > most
}

// Record returns the bounds; the zero value if nothing is known.
func (c *Clock) Record() evidence.Clock {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.heard || c.lost {
		return evidence.Clock{}
	}
	return evidence.Clock{Least: c.least.Seconds(), Most: c.most.Seconds(), Resolution: resolution.Seconds()}
}

// Transport returns a transport that uses the date of each answer.
func (c *Clock) Transport(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		asked := c.now()
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			c.Note(asked, c.now(), date)
		}
		return resp, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
