package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// header bounds a request's header, and with it a handshake: nginx's
	// client_header_timeout in APISIX.
	header = 60 * time.Second
	// drain is how long requests under way may take when the gateway ends.
	drain = 2 * time.Second
)

// ports are the servers of the container ports.
type ports struct {
	log       *slog.Logger
	addresses map[int]string // by container port
	servers   []*http.Server
	failed    chan error // has room for one error of each server
}

// serve listens for a container port on a free port of loopback, and lets over
// serve it.
func (p *ports) serve(ctx context.Context, port int, server *http.Server, over func(*http.Server, net.Listener) error) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("container port %d: %w", port, err)
	}
	server.ReadHeaderTimeout = header
	server.ErrorLog = slog.NewLogLogger(p.log.Handler(), slog.LevelWarn)
	p.addresses[port] = l.Addr().String()
	p.servers = append(p.servers, server)
	go func() {
		if err := over(server, l); !errors.Is(err, http.ErrServerClosed) {
			p.failed <- fmt.Errorf("container port %d: %w", port, err)
		}
	}()
	return nil
}

// shutdown ends the servers: requests under way have a moment, then
// open connections are closed.
func (p *ports) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	var group sync.WaitGroup
	for _, server := range p.servers {
		group.Go(func() {
			if server.Shutdown(ctx) != nil {
				server.Close()
			}
		})
	}
	group.Wait()
}
