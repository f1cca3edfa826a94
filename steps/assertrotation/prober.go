package assertrotation

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A sample is what one probe saw.
type sample struct {
	endpoint  int           // index of the address
	start     time.Time     // when the probe was due
	handshake time.Duration // from start until the handshake was complete; 0 if it failed
	total     time.Duration // from start until the probe ended
	protocol  string        // negotiated: h2, http/1.1 or ""

	// leaf is the verified certificate; nil if there was none.
	leaf *x509.Certificate

	// chain is what the server sent, and verified leads from leaf to the trusted
	// root.
	chain, verified []*x509.Certificate

	// failure is nil exactly if the certificate was verified and the answer
	// was the expected one.
	failure *tlskit.Failure
}

// shown returns when the certificate was seen.
func (s sample) shown() time.Time { return s.start.Add(s.handshake) }

// A prober opens connections at a fixed rate, whether or not earlier ones have
// ended (an open loop: a slow server cannot slow the measurement down).
type prober struct {
	clients   []*tlskit.Client // take turns at each address
	endpoints []tlskit.Endpoint
	url       *url.URL
	status    int           // expected; 0 for any below 400
	interval  time.Duration // between two probes of one address
	limit     time.Duration // of one probe
	now       func() time.Time
	samples   chan<- sample

	mu      sync.Mutex
	serial  int
	current map[int]time.Time // when the probes under way were started
	late    time.Duration     // how much later than planned a probe was begun at the most
}

// oldest returns when the oldest probe under way was started; false if there is
// none.
func (p *prober) oldest() (at time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, start := range p.current {
		if !ok || start.Before(at) {
			at, ok = start, true
		}
	}
	return at, ok
}

// begin and end tell which probes are under way. A probe ends when its sample
// has been taken, so that whoever finds no probe under way has seen them all.
func (p *prober) begin(at time.Time) (id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		p.current = make(map[int]time.Time)
	}
	p.serial++
	p.current[p.serial] = at
	return p.serial
}

// delayed notes that a probe was begun later than planned, and lateness returns
// the longest such delay since it was asked for last.
func (p *prober) delayed(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = max(p.late, by)
}

func (p *prober) lateness() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := p.late
	p.late = 0
	return late
}

func (p *prober) end(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.current, id)
}

// run probes until ctx ends and returns when no probe is under way. Probes that
// the end cuts off are not reported.
func (p *prober) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg := engine.Group{Panicked: func(error) { cancel() }}
	for i := range p.endpoints {
		// Addresses take turns instead of being asked at the same moment.
		offset := p.interval * time.Duration(i) / time.Duration(len(p.endpoints))
		wg.Go(func() { p.pace(ctx, i, offset, &wg) })
	}
	wg.Wait()
}

func (p *prober) pace(ctx context.Context, endpoint int, offset time.Duration, wg *engine.Group) {
	due := time.Now().Add(offset)
	timer := time.NewTimer(offset)
	defer timer.Stop()
	for n := 0; ; n++ {
		client := p.clients[n%len(p.clients)]
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		p.delayed(time.Since(due))
		wg.Go(func() {
			start := p.now()
			id := p.begin(start)
			defer p.end(id)
			s, ok := p.probe(ctx, client, target{endpoint, p.endpoints[endpoint]}, start, func() {})
			if !ok {
				return
			}
			select {
			case p.samples <- s:
			case <-ctx.Done():
			}
		})
		due = due.Add(p.interval)
		timer.Reset(time.Until(due))
	}
}

// probe makes one probe and calls connected between handshake and request; it
// reports false if ctx ended it.
func (p *prober) probe(ctx context.Context, client *tlskit.Client, to target, start time.Time, connected func()) (sample, bool) {
	s := sample{endpoint: to.index, start: start}
	probing, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	err := p.measure(probing, client, to.endpoint, &s, connected)
	s.total = p.now().Sub(s.start)
	if err == nil {
		return s, true
	}
	if ctx.Err() != nil {
		return s, false
	}
	if !errors.As(err, &s.failure) {
		s.failure = &tlskit.Failure{Class: tlskit.ClassDial, Endpoint: to.endpoint.String(), Reason: err.Error()}
	}
	return s, true
}

func (p *prober) measure(ctx context.Context, client *tlskit.Client, to tlskit.Endpoint, s *sample, connected func()) error {
	conn, err := client.Connect(ctx, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	s.handshake, s.leaf, s.protocol = p.now().Sub(s.start), conn.Leaf(), conn.State.NegotiatedProtocol
	s.chain, s.verified = conn.State.PeerCertificates, conn.Verified
	connected()
	return p.get(ctx, conn)
}

// open opens a connection within the time of one probe.
func (p *prober) open(ctx context.Context, client *tlskit.Client, endpoint int) (*tlskit.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	return client.Connect(ctx, p.endpoints[endpoint])
}

// ask sends the probe's request.
func (p *prober) ask(ctx context.Context, conn *tlskit.Conn) (*tlskit.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "ztplan")
	return conn.Do(ctx, req)
}

// get sends the probe's request and checks the answer.
func (p *prober) get(ctx context.Context, conn *tlskit.Conn) error {
	resp, err := p.ask(ctx, conn)
	if err != nil {
		return err
	}
	if p.status != 0 && resp.Code != p.status || p.status == 0 && resp.Code >= 400 {
		want := "below 400"
		if p.status != 0 {
			want = fmt.Sprint(p.status)
		}
		return &tlskit.Failure{
			Class: tlskit.ClassHTTP, Endpoint: conn.Endpoint.String(),
			Reason: fmt.Sprintf("status %s instead of %s", resp.Status, want),
		}
	}
	return nil
}
