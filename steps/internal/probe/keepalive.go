package probe

import (
	"context"
	"errors"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// How often a keep-alive connection is used, and how many requests it serves
// before a new one replaces it: servers close a connection after a number of
// requests (nginx after 1000), which is no fault.
const (
	keepAliveInterval = 200 * time.Millisecond
	keepAliveRequests = 400
)

// A keepAlive uses one connection to one endpoint again and again. A connected
// client must not notice that the certificate changes, though it rightly goes on
// with the old one.
type keepAlive struct {
	prober   *Prober
	client   *tlskit.Client
	endpoint int
	protocol string
	answers  chan<- Answer
}

// An Answer is the result of one request over a keep-alive connection.
type Answer struct {
	Endpoint int
	Protocol string
	Opened   time.Time       // when the connection was opened
	Start    time.Time       // of the request
	Failure  *tlskit.Failure // nil for any answer: the probes check the status
}

// KeepAlive opens a connection to each endpoint for each HTTP version that may be
// spoken, and sends requests over it until ctx ends. The channel must be read
// until then. The goroutines count in wg.
func (p *Prober) KeepAlive(ctx context.Context, wg *engine.Group) <-chan Answer {
	answers := make(chan Answer)
	for i := range p.Endpoints {
		for _, protocol := range tlskit.Protocols(p.HTTP) {
			k := &keepAlive{prober: p, client: p.client(protocol), endpoint: i, protocol: protocol, answers: answers}
			wg.Go(func() { k.run(ctx) })
		}
	}
	return answers
}

// run replaces connections until ctx ends. It reports none that cannot be
// opened: the probes do that.
func (k *keepAlive) run(ctx context.Context) {
	for {
		conn, err := k.open(ctx)
		switch {
		case err == nil:
			k.use(ctx, conn)
			_ = conn.Close()
		case tlskit.ClassOf(err) == tlskit.ClassTLS && k.protocol == tlskit.HTTP2:
			return // the server does not speak it
		}
		if engine.Pause(ctx, keepAliveInterval) != nil {
			return
		}
	}
}

func (k *keepAlive) open(ctx context.Context) (*tlskit.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, k.prober.Timeout)
	defer cancel()
	return k.client.Connect(ctx, k.prober.Endpoints[k.endpoint])
}

// use sends requests over a connection until one fails or there were enough.
func (k *keepAlive) use(ctx context.Context, conn *tlskit.Conn) {
	opened := k.prober.Now()
	ticker := time.NewTicker(keepAliveInterval)
	defer ticker.Stop()
	for range keepAliveRequests {
		id, start := k.prober.begin()
		a := Answer{Endpoint: k.endpoint, Protocol: k.protocol, Opened: opened, Start: start}
		err := k.ask(ctx, conn)
		if ctx.Err() != nil || errors.Is(err, tlskit.ErrGivenUp) {
			k.prober.end(id)
			return
		}
		if err != nil && !errors.As(err, &a.Failure) {
			a.Failure = &tlskit.Failure{Class: tlskit.ClassHTTP, Reason: err.Error()}
		}
		select {
		case k.answers <- a:
		case <-ctx.Done():
		}
		k.prober.end(id)
		if a.Failure != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (k *keepAlive) ask(ctx context.Context, conn *tlskit.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, k.prober.Timeout)
	defer cancel()
	_, err := k.prober.ask(ctx, conn)
	return err
}

// Statistics sums up the answers over keep-alive connections in one rotation. It
// belongs to one goroutine.
type Statistics struct {
	Answered int
	Failures []Answer

	newest map[connection]time.Time // start of the newest answered request
}

type connection struct {
	endpoint int
	protocol string
}

// Add counts an answer.
func (s *Statistics) Add(a Answer) {
	key := connection{a.Endpoint, a.Protocol}
	if a.Failure != nil {
		delete(s.newest, key)
		s.Failures = append(s.Failures, a)
		return
	}
	if s.newest == nil {
		s.newest = make(map[connection]time.Time)
	}
	s.Answered++
	s.newest[key] = a.Start
}

// AnsweredSince reports whether every open connection has answered a request
// that was started after at.
func (s *Statistics) AnsweredSince(at time.Time) bool {
	for _, newest := range s.newest {
		if !newest.After(at) {
			return false
		}
	}
	return true
}
