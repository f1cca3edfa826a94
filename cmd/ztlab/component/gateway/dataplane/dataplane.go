// Package dataplane is the lab's stand-in for Apache APISIX itself: a gateway
// in Go that ends TLS, routes, and is configured by the Admin API. It is
// modelled on the known behaviour of APISIX, and is not APISIX: a measurement of
// it is not one of APISIX, and every answer is marked in its Server
// header.
//
// Behaviour as seen on APISIX 3.16.0, on 4 workers of OpenResty
// 1.27.1.2 with etcd: certificates by SNI with wildcards of one label, and a
// handshake alert (internal_error) for an unknown or a missing name; of two
// certificates for one name the first one inserted is served, after a restart
// that of the lowest key; a key that does not match and a reversed chain are
// accepted and fail at the handshake; HTTP/1.1 and h2; several workers, to which
// connections go at random; an update never ends a connection; TLS 1.3 sessions
// may be resumed for ten minutes, as long as their name has a certificate, and
// then show that of the first handshake; routes by host and path, 404 when there
// is none; a configuration that outlives a restart.
//
// Left out: plugins, upstream objects, services, streams, etcd. Each
// gateway keeps its own store, so that the control plane must write to every
// one.
package dataplane

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// Options configure a gateway.
type Options struct {
	Config
	// Dir holds the gateway's store.
	Dir string
	// Server is the Server header.
	Server string
	// Dial connects to upstream servers.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Pick chooses one of a number of workers for a new connection. nil picks
	// at random: with SO_REUSEPORT the kernel deals connections out by a hash of
	// their addresses.
	Pick func(workers int) int
	// Contact is how long a gateway without a store waits for its control plane
	// before it calls itself ready with nothing to serve; 0 is two seconds. With etcd
	// the configuration would be there already.
	Contact time.Duration
	// Log receives the gateway's log.
	Log *slog.Logger
	// Listening is called once, with the loopback address of each container
	// port. Ready is called once, when the gateway may be sent traffic.
	Listening func(map[int]string)
	Ready     func()
}

// contact is the default of [Options.Contact].
const contact = 2 * time.Second

// Run serves until ctx ends, and returns nil then.
func Run(ctx context.Context, options Options) error {
	transport := newTransport(options.Dial)
	defer transport.CloseIdleConnections()
	if options.Pick == nil {
		options.Pick = rand.IntN
	}
	g := &gateway{Options: options, fleet: newFleet(options.Workers, options.Pick), ready: sync.OnceFunc(options.Ready)}
	var err error
	g.store, err = openStore(options.Dir, func(r adminapi.Route) (*route, error) {
		if r.Upstream == nil {
			return newRoute(r, nil)
		}
		return newRoute(r, newForwarder(*r.Upstream, transport, options.Config, options.Log))
	}, g.deliver)
	if err != nil {
		return err
	}
	g.begin()

	p := &ports{log: options.Log, addresses: map[int]string{}, failed: make(chan error, 4)}
	defer p.shutdown()
	if err := g.open(ctx, p); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	for _, w := range g.fleet.workers {
		workers.Go(func() { w.run(ctx, g.store.bugs, options.Log) })
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
	direct := func(s *http.Server, l net.Listener) error { return s.Serve(l) }
	if g.StatusPort != 0 {
		if err := p.serve(ctx, g.StatusPort, &http.Server{Handler: g.named(g.status())}, direct); err != nil {
			return err
		}
	}
	if g.AdminPort == 0 {
		return nil
	}
	api := newAdmin(&admin{store: g.store, keys: g.Keys, onState: g.onState, log: g.Log})
	return p.serve(ctx, g.AdminPort, &http.Server{Handler: g.named(api)}, direct)
}

// A gateway is a running data plane.
type gateway struct {
	Options
	fleet *fleet
	store *store
	ready func()

	mu       sync.Mutex
	starting bool // not ready yet, for want of the control plane's word
	loading  bool // writes stand for etcd's content at the start
	hold     hold
}

// begin gives the workers the store's objects.
func (g *gateway) begin() {
	if window := g.store.bugs().For(adminapi.EtcdUnanswered); window > 0 {
		g.unanswered(window)
	}
	g.loading = true
	for _, c := range g.store.contents() {
		g.deliver(c)
	}
	g.starting, g.loading = g.store.fresh, g.store.fresh
}

// unanswered keeps the configuration from the workers for a time, and routes
// longer than certificates: see [adminapi.EtcdUnanswered].
func (g *gateway) unanswered(window time.Duration) {
	g.Log.Warn("ready without a configuration", "for", window, "bug", adminapi.EtcdUnanswered)
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = hold{certificates: now.Add(window), routes: now.Add(window * 31 / 24)}
}

// deliver gives the workers a change: at once while the configuration is being
// loaded, else after a lag.
func (g *gateway) deliver(c change) {
	g.mu.Lock()
	c.initial = g.loading
	if !c.initial {
		c.at = time.Now().Add(lag())
	}
	if held := g.hold.until(c); held.After(time.Now()) && held.After(c.at) {
		c.at = held
	}
	g.mu.Unlock()
	g.fleet.deliver(c)
}

// await makes the gateway ready: at once when its store was there, else when
// the control plane has written all it has, or does not come.
func (g *gateway) await(ctx context.Context) {
	g.mu.Lock()
	starting := g.starting
	g.mu.Unlock()
	if starting {
		select {
		case <-ctx.Done():
			return
		case <-time.After(cmp.Or(g.Contact, contact)):
		}
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

// onState handles the control plane's state.
func (g *gateway) onState(state adminapi.State) {
	g.fleet.look()
	g.mu.Lock()
	starting := g.starting
	if state.Synced {
		g.loading = false
	}
	g.mu.Unlock()
	if !starting {
		return
	}
	if window := state.Bugs.For(adminapi.EtcdUnanswered); window > 0 {
		g.unanswered(window)
		g.started()
		return
	}
	if state.Synced {
		g.started()
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
	current := worker.current.Load()
	if err := current.admits(r); err != nil {
		g.Log.Warn("client refused", "host", r.Host, "path", r.URL.Path, "error", err)
		answer(w, http.StatusBadRequest, "400 Bad Request")
		return
	}
	found := current.route(r)
	if found == nil {
		answer(w, http.StatusNotFound, "404 Route Not Found")
		return
	}
	found.handler.ServeHTTP(w, r)
}
