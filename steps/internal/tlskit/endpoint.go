package tlskit

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// An Endpoint is one place where a connection can be opened.
type Endpoint struct {
	name string
	dial func(context.Context) (net.Conn, error)
	from origin
}

// NewEndpoint returns an endpoint with a dialer of its own; name is for
// messages.
func NewEndpoint(name string, dial func(context.Context) (net.Conn, error)) Endpoint {
	return Endpoint{name: name, dial: dial, from: fromTunnel}
}

// Address returns the endpoint of a TCP address, "127.0.0.1:30443".
func Address(address string) Endpoint {
	return Endpoint{name: address, dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}}
}

// An origin is where an address comes from: it decides the advice when nothing
// answers there.
type origin int

const (
	fromPlan origin = iota
	fromNodePort
	fromTunnel
)

// String returns the name of the endpoint, such as its address.
func (e Endpoint) String() string { return e.name }

// EndpointNames returns the names of endpoints for messages.
func EndpointNames(endpoints []Endpoint) string {
	names := make([]string, len(endpoints))
	for i, e := range endpoints {
		names[i] = e.name
	}
	return strings.Join(names, ", ")
}

// Dial opens a new connection. Its error is a [Failure] of class dial, unless
// ctx was cancelled.
func (e Endpoint) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := e.dial(ctx)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, context.Cause(ctx)
		}
		return nil, newDialFailure(e.name, err, e.from)
	}
	return conn, nil
}

// stagger is how long the next endpoint waits for the one before, as in
// RFC 8305 section 5.
const stagger = 250 * time.Millisecond

// DialFirst opens a connection to the first endpoint that can be reached: each
// is tried when the one before has failed or has not answered for a moment.
// If none can be reached the error joins that of each endpoint.
func DialFirst(ctx context.Context, endpoints []Endpoint) (net.Conn, Endpoint, error) {
	if len(endpoints) == 0 {
		return nil, Endpoint{}, errors.New("no address to dial")
	}
	if len(endpoints) == 1 {
		conn, err := endpoints[0].Dial(ctx)
		return conn, endpoints[0], err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		i    int
		conn net.Conn
		err  error
	}
	results := make(chan result)
	start := func(i int) {
		go func() {
			var conn net.Conn
			err := engine.Try(func() (err error) { conn, err = endpoints[i].Dial(ctx); return err })
			select {
			case results <- result{i, conn, err}:
			case <-ctx.Done():
				if conn != nil {
					_ = conn.Close()
				}
			}
		}()
	}
	start(0)
	started, ended := 1, 0
	errs := make([]error, len(endpoints))
	timer := time.NewTimer(stagger)
	defer timer.Stop()
	for {
		next := false
		select {
		case r := <-results:
			if r.err == nil {
				return r.conn, endpoints[r.i], nil
			}
			errs[r.i] = r.err
			ended++
			next = true
		case <-timer.C:
			next = true
		case <-ctx.Done():
			return nil, Endpoint{}, errors.Join(append(errs, context.Cause(ctx))...)
		}
		if ended == len(endpoints) {
			return nil, Endpoint{}, errors.Join(errs...)
		}
		if next && started < len(endpoints) {
			start(started)
			started++
			timer.Reset(stagger)
		}
	}
}
