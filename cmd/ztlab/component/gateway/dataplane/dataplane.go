// Package dataplane is the lab's stand-in for Apache APISIX itself: a gateway
// in Go that ends TLS, routes, and is configured by the Admin API. It is
// modelled on what APISIX is known to do, and is not APISIX: what is measured on
// it is not a measurement of APISIX, and every answer says so in its Server
// header.
//
// What it does as APISIX does: certificates by SNI with wildcards of one label,
// a handshake alert (internal_error) for an unknown or a missing name; HTTP/1.1
// and h2; several workers that take an update one after another; an update
// never ends a connection; TLS sessions may be resumed for ten minutes, and then
// show the certificate of the first handshake; routes by host and path, 404
// with a JSON body when there is none; a configuration that outlives a restart.
//
// What it does not do: plugins, upstream objects, streams, etcd. Each gateway
// keeps its own store, so that the control plane must write to every one.
package dataplane

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// Options say how to run a gateway.
type Options struct {
	Config
	// Dir holds the gateway's store.
	Dir string
	// Server is the Server header.
	Server string
	// Dial connects to upstream servers.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Log receives what the gateway has to say.
	Log *slog.Logger
	// Listening is called once, with the loopback address of each container
	// port. Ready is called once, when the gateway may be sent traffic.
	Listening func(map[int]string)
	Ready     func()
}

// Bounds in time.
const (
	// contact is how long a gateway without a store waits for its control
	// plane before it calls itself ready with nothing to serve. With etcd the
	// configuration would be there already.
	contact = 2 * time.Second
	// sessions is nginx's ssl_session_timeout in APISIX.
	sessions = 10 * time.Minute
)

// Run serves until ctx ends, and returns nil then.
func Run(ctx context.Context, options Options) error {
	transport := newTransport(options.Dial)
	defer transport.CloseIdleConnections()
	g := &gateway{Options: options, fleet: newFleet(options.Workers), ready: sync.OnceFunc(options.Ready)}
	var err error
	g.store, err = openStore(options.Dir, func(r adminapi.Route) (*route, error) {
		if r.Upstream == nil {
			return newRoute(r, nil)
		}
		return newRoute(r, newForwarder(*r.Upstream, transport, options.Log))
	}, g.fleet.notify)
	if err != nil {
		return err
	}
	g.begin()

	p := &ports{log: options.Log, addresses: map[int]string{}, failed: make(chan error, 3)}
	defer p.shutdown()
	if err := g.open(ctx, p); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	for _, w := range g.fleet.workers {
		workers.Go(func() { w.run(ctx, g.store, options.Log) })
	}
	options.Listening(p.addresses)
	workers.Go(func() { g.await(ctx) })

	select {
	case <-ctx.Done():
		return nil
	case err := <-p.failed:
		return err
	}
}

// open starts a server for each container port.
func (g *gateway) open(ctx context.Context, p *ports) error {
	traffic := func() *http.Server {
		return &http.Server{Handler: g, ConnContext: withWorker, IdleTimeout: time.Minute}
	}
	if err := p.serve(ctx, g.HTTPPort, traffic(), func(s *http.Server, l net.Listener) error {
		return s.Serve(g.fleet.listen(l))
	}); err != nil {
		return err
	}
	if g.TLSPort != 0 {
		server := traffic()
		server.TLSConfig = g.tlsConfig()
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetHTTP2(g.HTTP2)
		if err := p.serve(ctx, g.TLSPort, server, func(s *http.Server, l net.Listener) error {
			return s.ServeTLS(g.fleet.listen(l), "", "")
		}); err != nil {
			return err
		}
	}
	if g.AdminPort == 0 {
		return nil
	}
	api := newAdmin(&admin{store: g.store, keys: g.Keys, told: g.told, log: g.Log})
	return p.serve(ctx, g.AdminPort, &http.Server{Handler: g.named(api)}, func(s *http.Server, l net.Listener) error {
		return s.Serve(l)
	})
}

// A gateway is a running data plane.
type gateway struct {
	Options
	fleet *fleet
	store *store
	ready func()

	mu       sync.Mutex
	starting bool // not ready yet, for want of the control plane's word
}

// begin gives the workers what the store has, except when the gateway is to
// show that it comes up without.
func (g *gateway) begin() {
	bugs := g.store.bugs()
	g.starting = g.store.fresh
	if window := bugs.For(adminapi.Window404); window > 0 {
		g.Log.Warn("ready without a configuration", "for", window, "bug", adminapi.Window404)
		g.store.holdFor(window)
		empty := &snapshot{exact: map[string]*site{}, wildcard: map[string]*site{}}
		for _, w := range g.fleet.workers {
			w.current.Store(empty)
		}
		g.fleet.notify()
		return
	}
	for _, w := range g.fleet.workers {
		w.current.Store(g.store.current())
	}
}

// await makes the gateway ready: at once when its store was there, else when
// the control plane has written all it has, or does not come.
func (g *gateway) await(ctx context.Context) {
	g.mu.Lock()
	starting := g.starting
	g.mu.Unlock()
	if starting && !pause(ctx, contact) {
		return
	}
	g.started()
}

// started makes the gateway ready.
func (g *gateway) started() {
	g.mu.Lock()
	g.starting = false
	g.mu.Unlock()
	g.ready()
}

// told hears the control plane.
func (g *gateway) told(state adminapi.State) {
	g.mu.Lock()
	starting := g.starting
	g.mu.Unlock()
	if !starting {
		return
	}
	if window := state.Bugs.For(adminapi.Window404); window > 0 {
		g.Log.Warn("ready without a configuration", "for", window, "bug", adminapi.Window404)
		g.store.holdFor(window)
		g.started()
		return
	}
	if state.Synced {
		// The last worker takes the last update after its lag.
		time.AfterFunc(2*g.fleet.workers[len(g.fleet.workers)-1].lag(), g.started)
	}
}

// workerKey is where a request's context has its worker.
type workerKey struct{}

// withWorker puts the worker that accepted a connection into the context of
// its requests.
func withWorker(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return context.WithValue(ctx, workerKey{}, c.(*connection).worker)
}

// named sets the Server header.
func (g *gateway) named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", g.Server)
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP routes a request by the configuration that its worker has.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", g.Server)
	worker := r.Context().Value(workerKey{}).(*worker)
	found := worker.current.Load().route(r)
	if found == nil {
		answer(w, http.StatusNotFound, "404 Route Not Found")
		return
	}
	found.handler.ServeHTTP(w, r)
}

// tlsConfig serves each connection by the configuration that its worker has.
func (g *gateway) tlsConfig() *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			site, err := g.site(hello)
			if err != nil {
				return nil, err // an internal_error alert, as APISIX's
			}
			return site.certificate, nil
		},
	}
	// A session is good for a time, whichever certificate is served by then.
	config.WrapSession = func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		session.Extra = append(session.Extra, binary.BigEndian.AppendUint64([]byte("made"), uint64(time.Now().Unix())))
		return config.EncryptTicket(state, session)
	}
	config.UnwrapSession = func(identity []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		session, err := config.DecryptTicket(identity, state)
		if err != nil || session == nil {
			return nil, err
		}
		for _, extra := range session.Extra {
			if len(extra) == 12 && string(extra[:4]) == "made" &&
				time.Since(time.Unix(int64(binary.BigEndian.Uint64(extra[4:])), 0)) < sessions {
				return session, nil
			}
		}
		return nil, nil
	}
	protocols := []string{"http/1.1"}
	if g.HTTP2 {
		protocols = []string{"h2", "http/1.1"}
	}
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		site, err := g.site(hello)
		if err != nil || site.clientCAs == nil {
			return nil, nil // GetCertificate says why
		}
		return &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     protocols,
			GetCertificate: config.GetCertificate,
			ClientAuth:     tls.RequireAndVerifyClientCert,
			ClientCAs:      site.clientCAs,
			// A resumed session would not be asked for its certificate again.
			SessionTicketsDisabled: true,
		}, nil
	}
	return config
}

// site finds what a client asks for.
func (g *gateway) site(hello *tls.ClientHelloInfo) (*site, error) {
	name := hello.ServerName
	if name == "" {
		name = g.FallbackSNI
	}
	if name == "" {
		return nil, errors.New("failed to find SNI: the client sent none")
	}
	current := hello.Conn.(*connection).worker.current.Load()
	found := current.site(name)
	if found == nil {
		return nil, fmt.Errorf("failed to find any SSL certificate by SNI: %s", name)
	}
	return found, nil
}
