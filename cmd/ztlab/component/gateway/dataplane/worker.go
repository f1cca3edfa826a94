package dataplane

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// A worker stands for one nginx worker: it has connections of its own and its
// own copy of the configuration, which it updates by itself.
type worker struct {
	index   int
	current atomic.Pointer[snapshot]
	wake    chan struct{} // holds one token when there is something to look at

	updates sync.Mutex
	queue   []change       // not noticed yet, oldest first
	view    view           // the changes that were taken
	lost    map[key]change // the last update of each of these objects was lost

	mu          sync.Mutex
	connections map[*connection]struct{}
}

// lag is how long after a write the workers notice it: 3 to 32 ms on APISIX
// 3.16.0. They notice it together: of 8 switches seen there, none had an old
// handshake after the first new one.
func lag() time.Duration {
	return 3*time.Millisecond + rand.N(29*time.Millisecond)
}

// deliver gives the worker a change.
func (w *worker) deliver(c change) {
	w.updates.Lock()
	defer w.updates.Unlock()
	if c.at.IsZero() && len(w.queue) == 0 {
		w.take(c)
		return
	}
	w.queue = append(w.queue, c)
	w.look()
}

// look makes the worker look at its queue and the bugs.
func (w *worker) look() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run takes changes when they are due until ctx ends.
func (w *worker) run(ctx context.Context, showing func() adminapi.Bugs, log *slog.Logger) {
	for {
		bugs := showing()
		took, next := w.update(time.Now(), bugs, log)
		if took && bugs.Has(adminapi.DropConnections) {
			log.Warn("worker resets its connections", "worker", w.index, "connections", w.reset(), "bug", adminapi.DropConnections)
		}
		var due <-chan time.Time
		if !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-due:
		}
	}
}

// update takes the changes that are due, unless a bug keeps the worker from
// one. It returns whether it took any, and when the next one is due, if there
// is one.
func (w *worker) update(now time.Time, bugs adminapi.Bugs, log *slog.Logger) (took bool, next time.Time) {
	w.updates.Lock()
	defer w.updates.Unlock()
	stale := w.index == 0 && bugs.Has(adminapi.OneWorkerStale)
	var late time.Duration
	if w.index == 0 {
		late = bugs.For(adminapi.LateWorker)
	}
	take := func(c change) {
		took = true
		w.take(c)
		log.Info("worker has an update", "worker", w.index, "revision", c.revision)
	}
	if !stale {
		for _, c := range slices.SortedFunc(maps.Values(w.lost), byRevision) {
			take(c)
		}
		clear(w.lost)
	}
	for len(w.queue) > 0 {
		c := w.queue[0]
		due := c.at
		if !c.initial {
			due = due.Add(late)
		}
		if due.After(now) {
			return took, due
		}
		w.queue = w.queue[1:]
		if _, behind := w.lost[c.key]; stale && !c.initial && !behind {
			w.lost[c.key] = c
			log.Warn("worker loses an update", "worker", w.index, "revision", c.revision, "object", c.key.id, "bug", adminapi.OneWorkerStale)
			continue
		}
		delete(w.lost, c.key)
		take(c)
	}
	return took, time.Time{}
}

func byRevision(a, b change) int { return cmp.Compare(a.revision, b.revision) }

// take applies a change to the worker's snapshot. Its lock is held.
func (w *worker) take(c change) {
	w.view.take(c)
	w.current.Store(w.view.snapshot())
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
	pick    func(workers int) int
}

// newFleet makes workers that have no configuration yet.
func newFleet(size int, pick func(workers int) int) *fleet {
	f := &fleet{pick: pick}
	for i := range size {
		w := &worker{
			index:       i,
			wake:        make(chan struct{}, 1),
			lost:        map[key]change{},
			connections: map[*connection]struct{}{},
		}
		w.current.Store(w.view.snapshot())
		f.workers = append(f.workers, w)
	}
	return f
}

// deliver gives every worker a change.
func (f *fleet) deliver(c change) {
	for _, w := range f.workers {
		w.deliver(c)
	}
}

// look makes every worker look at its queue and the bugs.
func (f *fleet) look() {
	for _, w := range f.workers {
		w.look()
	}
}

// listen lets the workers accept from l.
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
	w := l.fleet.workers[l.fleet.pick(len(l.fleet.workers))]
	c := &connection{Conn: accepted, worker: w}
	w.mu.Lock()
	w.connections[c] = struct{}{}
	w.mu.Unlock()
	return c, nil
}
