package probe

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

// A Config has the inputs of a prober.
type Config struct {
	// URL is requested. Its host is the server name (SNI) and the name that the
	// certificate must have.
	URL *url.URL

	// Trust verifies the certificates.
	Trust *tlskit.Trust

	// Identity is presented to a server that asks for a client certificate; nil
	// presents none.
	Identity *tlskit.Identity

	// Endpoints are the addresses to connect to.
	Endpoints []tlskit.Endpoint

	// HTTP is the version to speak: tlskit.OnlyHTTP1, OnlyHTTP2, or auto: every other
	// connection offers both versions and the others offer 1.1 alone.
	HTTP string

	// Status is the expected status code; 0 accepts any below 400.
	Status int

	// Rate is how many connections are opened per second to each endpoint.
	Rate int

	// Timeout is how long one probe may take.
	Timeout time.Duration

	// Now is the clock of the samples.
	Now func() time.Time
}

// A Sample is the result of one probe.
type Sample struct {
	Endpoint  int           // index of the endpoint; those of pods follow the configured ones
	Start     time.Time     // when the probe was due
	Handshake time.Duration // from Start until the handshake was complete; 0 if it failed
	Total     time.Duration // from Start until the probe ended
	Protocol  string        // negotiated: h2, http/1.1 or ""

	// Leaf is the verified certificate; nil if there was none.
	Leaf *x509.Certificate

	// Chain was sent by the server, and Verified leads from Leaf to the trusted
	// root.
	Chain, Verified []*x509.Certificate

	// Asked reports whether the server asked for a client certificate, and Client is
	// the certificate that it was given, with its chain.
	Asked  bool
	Client []*x509.Certificate

	// Failure is nil exactly if the certificate was verified and the answer
	// was the expected one.
	Failure *tlskit.Failure
}

// shown returns when the certificate was seen.
func (s Sample) shown() time.Time { return s.Start.Add(s.Handshake) }

// A Prober opens connections at a fixed rate, whether or not earlier ones have
// ended (an open loop: a slow server cannot slow the measurement down).
type Prober struct {
	Config
	clients []*tlskit.Client // take turns at each endpoint
	samples chan Sample      // unbuffered, see begin

	mu      sync.Mutex
	serial  int
	current map[int]time.Time // when the probes under way were started
	late    time.Duration     // longest delay of a start since Lateness was called
}

// New returns a prober that has not started.
func New(c Config) *Prober {
	p := &Prober{Config: c, samples: make(chan Sample), current: make(map[int]time.Time)}
	offers := tlskit.Protocols(p.HTTP)
	p.clients = []*tlskit.Client{p.client(offers...).Classical()}
	if len(offers) > 1 { // a server that speaks both versions is asked in both
		p.clients = append(p.clients, p.client(tlskit.HTTP1).Classical())
	}
	return p
}

func (p *Prober) client(protocols ...string) *tlskit.Client {
	return tlskit.NewClient(p.URL.Hostname(), p.Trust, p.Now, protocols...).Presenting(p.Identity)
}

// Samples delivers the result of every probe. It must be read as long as the
// prober runs.
func (p *Prober) Samples() <-chan Sample { return p.samples }

// Oldest returns when the oldest probe under way was started; false if there is
// none.
func (p *Prober) Oldest() (at time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, start := range p.current {
		if !ok || start.Before(at) {
			at, ok = start, true
		}
	}
	return at, ok
}

// tooLate is how late a probe may be started before the machine counts as too busy for
// the rate.
const tooLate = 250 * time.Millisecond

// Lateness returns how much later than planned a probe was started at the most since the
// last call; 0 for delays too short to matter.
func (p *Prober) Lateness() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := p.late
	p.late = 0
	if late <= tooLate {
		return 0
	}
	return late
}

// begin and end mark a probe as under way. A probe ends after its sample was
// received, so that a reader of Samples who finds no probe under way has all
// samples: no sample that comes later was started before that.
func (p *Prober) begin() (id int, start time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serial++
	start = p.Now()
	p.current[p.serial] = start
	return p.serial, start
}

func (p *Prober) end(id int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.current, id)
}

func (p *Prober) delayed(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = max(p.late, by)
}

// Run probes until ctx ends and returns when no probe is under way. Probes that
// are cut off by the end are not reported.
func (p *Prober) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	interval := time.Second / time.Duration(p.Rate)
	wg := engine.Group{Panicked: func(error) { cancel() }}
	for i := range p.Endpoints {
		// Endpoints take turns instead of being probed at the same moment.
		offset := interval * time.Duration(i) / time.Duration(len(p.Endpoints))
		wg.Go(func() { p.pace(ctx, i, offset, interval, &wg) })
	}
	wg.Wait()
}

func (p *Prober) pace(ctx context.Context, endpoint int, offset, interval time.Duration, wg *engine.Group) {
	to := target{endpoint, p.Endpoints[endpoint]}
	due := p.Now().Add(offset)
	timer := time.NewTimer(offset)
	defer timer.Stop()
	for n := 0; ; n++ {
		client := p.clients[n%len(p.clients)]
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		p.delayed(p.Now().Sub(due))
		wg.Go(func() { p.report(ctx, client, to, func() {}) })
		due = due.Add(interval)
		timer.Reset(due.Sub(p.Now()))
	}
}

// A target is an endpoint and its index.
type target struct {
	index    int
	endpoint tlskit.Endpoint
}

// report makes one probe and delivers its sample. It calls connected between
// handshake and request.
func (p *Prober) report(ctx context.Context, client *tlskit.Client, to target, connected func()) {
	id, start := p.begin()
	defer p.end(id)
	s, ok := p.probe(ctx, client, to, start, connected)
	if !ok {
		return
	}
	select {
	case p.samples <- s:
	case <-ctx.Done():
	}
}

// probe makes one probe; it returns false if ctx ended it.
func (p *Prober) probe(ctx context.Context, client *tlskit.Client, to target, start time.Time, connected func()) (Sample, bool) {
	s := Sample{Endpoint: to.index, Start: start}
	probing, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	err := p.measure(probing, client, to.endpoint, &s, connected)
	s.Total = p.Now().Sub(s.Start)
	if err == nil {
		return s, true
	}
	if ctx.Err() != nil {
		return s, false
	}
	if !errors.As(err, &s.Failure) {
		s.Failure = &tlskit.Failure{Class: tlskit.ClassDial, Endpoint: to.endpoint.String(), Reason: err.Error()}
	}
	return s, true
}

func (p *Prober) measure(ctx context.Context, client *tlskit.Client, to tlskit.Endpoint, s *Sample, connected func()) error {
	conn, err := client.Connect(ctx, to)
	if err != nil {
		return err
	}
	defer conn.Close()
	s.Handshake, s.Leaf, s.Protocol = p.Now().Sub(s.Start), conn.Leaf(), conn.State.NegotiatedProtocol
	s.Chain, s.Verified = conn.State.PeerCertificates, conn.Verified
	s.Asked, s.Client = conn.Asked, conn.Presented
	connected()
	return p.get(ctx, conn)
}

// ask sends the request.
func (p *Prober) ask(ctx context.Context, conn *tlskit.Conn) (*tlskit.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "ztplan")
	return conn.Do(ctx, req)
}

// get sends the request and checks the answer's status.
func (p *Prober) get(ctx context.Context, conn *tlskit.Conn) error {
	resp, err := p.ask(ctx, conn)
	if err != nil {
		return err
	}
	if p.Status != 0 && resp.Code != p.Status || p.Status == 0 && resp.Code >= 400 {
		want := "below 400"
		if p.Status != 0 {
			want = fmt.Sprint(p.Status)
		}
		return &tlskit.Failure{
			Class: tlskit.ClassHTTP, Endpoint: conn.Endpoint.String(),
			Reason: fmt.Sprintf("status %s instead of %s", resp.Status, want),
		}
	}
	return nil
}
