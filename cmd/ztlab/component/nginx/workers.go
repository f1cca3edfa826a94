package nginx

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A generation is the workers that one reading of the configuration started: nginx reads
// its certificates then and never again. The old ones end when their requests are done,
// and close the connections that are idle.
type generation struct {
	server *http.Server
	conns  chan net.Conn
	done   chan struct{}
	once   sync.Once
}

func newGeneration(config *tls.Config, handler http.Handler) *generation {
	g := &generation{
		server: &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute, TLSConfig: config},
		conns:  make(chan net.Conn), done: make(chan struct{}),
	}
	go func() {
		if config != nil {
			_ = g.server.ServeTLS(g, "", "")
			return
		}
		_ = g.server.Serve(g)
	}()
	return g
}

// Accept, Close and Addr make a generation the listener of its own server.
func (g *generation) Accept() (net.Conn, error) {
	select {
	case c := <-g.conns:
		return c, nil
	case <-g.done:
		return nil, net.ErrClosed
	}
}

func (g *generation) Close() error {
	g.once.Do(func() { close(g.done) })
	return nil
}

func (g *generation) Addr() net.Addr { return &net.TCPAddr{} }

// retire ends the workers.
func (g *generation) retire(ctx context.Context) {
	orderly, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := g.server.Shutdown(orderly); err != nil {
		g.server.Close()
	}
}

// settle is how long old workers keep connections that are idle: as long as those of
// OpenResty were seen to. Connections that were just accepted get their request by then.
const settle = 330 * time.Millisecond

// A door accepts connections for the newest generation.
type door struct {
	listener net.Listener
	newest   atomic.Pointer[generation]
}

// accept hands connections on until the listener is closed.
func (d *door) accept() error {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return err
		}
		g := d.newest.Load()
		select {
		case g.conns <- c:
		case <-g.done: // between two generations
			d.newest.Load().conns <- c
		}
	}
}

// begin makes new workers take the connections, and retires the old ones.
func (d *door) begin(ctx context.Context, g *generation) {
	old := d.newest.Swap(g)
	if old != nil {
		slog.Info("workers replaced", "address", d.listener.Addr())
		time.AfterFunc(settle, func() { old.retire(ctx) })
	}
}
