package dataplane

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// A worker stands for one nginx worker: it has connections of its own and its
// own copy of the configuration, which it updates by itself, a little after
// the workers before it.
type worker struct {
	index   int
	current atomic.Pointer[snapshot]
	wake    chan struct{} // holds one token when there may be an update

	mu          sync.Mutex
	connections map[*connection]struct{}
}

// lag is how long a worker takes to notice an update: each worker of APISIX
// watches etcd by itself, so that they switch one after another.
func (w *worker) lag() time.Duration {
	return 5*time.Millisecond + time.Duration(w.index)*15*time.Millisecond
}

// notify tells the worker that there may be an update.
func (w *worker) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run takes updates from the store until ctx ends.
func (w *worker) run(ctx context.Context, store *store, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		if !pause(ctx, w.lag()) || !pause(ctx, time.Until(store.heldUntil())) {
			return
		}
		w.update(store.current(), store.bugs(), log)
	}
}

// update takes a snapshot, unless a bug keeps the worker from it.
func (w *worker) update(next *snapshot, bugs adminapi.Bugs, log *slog.Logger) {
	if next == w.current.Load() {
		return
	}
	if w.index == 0 && bugs.Has(adminapi.OneWorkerStale) {
		log.Warn("worker misses an update", "worker", w.index, "revision", next.revision, "bug", adminapi.OneWorkerStale)
		return
	}
	w.current.Store(next)
	log.Info("worker has the configuration", "worker", w.index, "revision", next.revision)
	if bugs.Has(adminapi.DropConnections) {
		log.Warn("worker resets its connections", "worker", w.index, "connections", w.reset(), "bug", adminapi.DropConnections)
	}
}

// pause waits, and says whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// reset breaks every connection of the worker off, and returns their number.
func (w *worker) reset() int {
	w.mu.Lock()
	open := make([]*connection, 0, len(w.connections))
	for c := range w.connections {
		open = append(open, c)
	}
	w.mu.Unlock()
	for _, c := range open {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			tcp.SetLinger(0) // a reset, not an orderly end
		}
		c.Close()
	}
	return len(open)
}

// A connection belongs to the worker that accepted it.
type connection struct {
	net.Conn
	worker *worker
}

// Close closes the connection and strikes it off its worker's list.
func (c *connection) Close() error {
	c.worker.mu.Lock()
	delete(c.worker.connections, c)
	c.worker.mu.Unlock()
	return c.Conn.Close()
}

// A fleet is all workers of a gateway.
type fleet struct {
	workers []*worker
	turn    atomic.Uint64
}

func newFleet(size int) *fleet {
	f := &fleet{}
	for i := range size {
		f.workers = append(f.workers, &worker{
			index:       i,
			wake:        make(chan struct{}, 1),
			connections: map[*connection]struct{}{},
		})
	}
	return f
}

func (f *fleet) notify() {
	for _, w := range f.workers {
		w.notify()
	}
}

// listen lets the workers accept from l in turn. With SO_REUSEPORT the kernel
// deals connections out by hash; in turn, as many handshakes as there are
// workers have met every one of them.
func (f *fleet) listen(l net.Listener) net.Listener { return listener{l, f} }

type listener struct {
	net.Listener
	fleet *fleet
}

func (l listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := l.fleet.workers[int((l.fleet.turn.Add(1)-1)%uint64(len(l.fleet.workers)))]
	c := &connection{Conn: accepted, worker: w}
	w.mu.Lock()
	w.connections[c] = struct{}{}
	w.mu.Unlock()
	return c, nil
}
