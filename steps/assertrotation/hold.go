package assertrotation

import (
	"context"
	"errors"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// How often a held connection is used, and how many requests it serves before a
// new one takes its place: servers close a connection after a number of them
// (nginx after 1000), which is none of their faults.
const (
	holdInterval = 200 * time.Millisecond
	holdRequests = 400
)

// A holder keeps one connection to one address open and asks again and again.
// A client that is connected must not notice that the certificate changes,
// though it rightly goes on with the old one.
type holder struct {
	prober   *prober
	client   *tlskit.Client
	endpoint int
	protocol string
	answers  chan<- answer
}

// An answer is how one request over a held connection went.
type answer struct {
	endpoint int
	protocol string
	opened   time.Time // when the connection was
	start    time.Time // of the request
	failure  *tlskit.Failure
}

// run holds connections until ctx ends. Connections that cannot be opened are
// no matter of the holder: the prober tells about them.
func (h *holder) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		conn, err := h.prober.open(ctx, h.client, h.endpoint)
		switch {
		case err == nil:
			h.hold(ctx, conn)
			_ = conn.Close()
		case tlskit.ClassOf(err) == tlskit.ClassTLS && h.protocol == tlskit.HTTP2:
			return // the server does not speak it
		}
		timer.Reset(holdInterval)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// hold uses a connection until it fails or has served its time.
func (h *holder) hold(ctx context.Context, conn *tlskit.Conn) {
	opened := h.prober.now()
	ticker := time.NewTicker(holdInterval)
	defer ticker.Stop()
	for range holdRequests {
		a := answer{endpoint: h.endpoint, protocol: h.protocol, opened: opened, start: h.prober.now()}
		id := h.prober.begin(a.start)
		err := h.ask(ctx, conn)
		if ctx.Err() != nil || errors.Is(err, tlskit.ErrGivenUp) {
			h.prober.end(id)
			return
		}
		if err != nil && !errors.As(err, &a.failure) {
			a.failure = &tlskit.Failure{Class: tlskit.ClassHTTP, Reason: err.Error()}
		}
		select {
		case h.answers <- a:
		case <-ctx.Done():
		}
		h.prober.end(id)
		if a.failure != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// ask sends a request. Any answer will do: which one it is, the probes check.
func (h *holder) ask(ctx context.Context, conn *tlskit.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, h.prober.limit)
	defer cancel()
	_, err := h.prober.ask(ctx, conn)
	return err
}

// holders returns a holder for each address and each HTTP version that may be
// spoken.
func (p *prober) holders(trusting func(protocol string) *tlskit.Client, protocols []string, answers chan<- answer) []*holder {
	var list []*holder
	for i := range p.endpoints {
		for _, protocol := range protocols {
			list = append(list, &holder{prober: p, client: trusting(protocol), endpoint: i, protocol: protocol, answers: answers})
		}
	}
	return list
}

// start runs holders in goroutines of wg.
func start(ctx context.Context, wg *engine.Group, list []*holder) {
	for _, h := range list {
		wg.Go(func() { h.run(ctx) })
	}
}

// A tally sums up the answers over held connections in one rotation. It belongs
// to one goroutine.
type tally struct {
	answered int
	newest   map[heldKey]time.Time // when the newest answered request was started
	failures []answer
}

type heldKey struct {
	endpoint int
	protocol string
}

func newTally() *tally { return &tally{newest: make(map[heldKey]time.Time)} }

// add takes an answer in.
func (t *tally) add(a answer) {
	key := heldKey{a.endpoint, a.protocol}
	if a.failure == nil {
		t.answered++
		t.newest[key] = a.start
		return
	}
	delete(t.newest, key)
	t.failures = append(t.failures, a)
}

// answeredSince reports whether every held connection has answered a request
// that was started after at.
func (t *tally) answeredSince(at time.Time) bool {
	for _, newest := range t.newest {
		if !newest.After(at) {
			return false
		}
	}
	return true
}
