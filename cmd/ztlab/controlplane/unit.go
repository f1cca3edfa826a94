package controlplane

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
	"github.com/ztplan/ztplan/cmd/ztlab/process"
)

// How a unit is started again after it ended by itself or was killed. A
// process that lived longer than settled starts at the shortest delay again.
const (
	shortestDelay = 200 * time.Millisecond
	longestDelay  = 10 * time.Second
	settled       = 10 * time.Second
	// stopGrace is how long a part may take to end in order. It can be short:
	// acknowledged writes of the API server are in etcd's log on disk.
	stopGrace = time.Second
)

// A unit keeps one part of the control plane running.
type unit struct {
	name    string
	address string
	start   func() (*process.Child, error)
	probe   func(context.Context) error
	logf    func(string, ...any)

	orders chan order

	mu      sync.Mutex
	child   *process.Child // nil while stopped
	exits   int            // how often it ended without being asked
	lastErr error
}

// An order is carried out by the unit's own goroutine and then answered.
type order struct {
	kill bool          // SIGKILL instead of an orderly stop
	down time.Duration // how long to stay down
	done chan error
}

// run starts the part and starts it again whenever it ends, until ctx ends;
// then it stops the part and returns.
func (u *unit) run(ctx context.Context) {
	delay := shortestDelay
	for ctx.Err() == nil {
		began := time.Now()
		child, err := u.start()
		var pause time.Duration
		if err != nil {
			u.ended(err)
			pause = delay
		} else {
			u.set(child)
			pause = u.watch(ctx, child, delay)
			u.set(nil)
		}
		if time.Since(began) > settled {
			delay = shortestDelay
		} else {
			delay = min(2*delay, longestDelay)
		}
		u.wait(ctx, pause)
	}
}

// watch returns when the child is gone, with the pause before the next start.
func (u *unit) watch(ctx context.Context, child *process.Child, delay time.Duration) time.Duration {
	select {
	case <-child.Done():
		u.ended(child.Err())
		u.logf("%s ended by itself: %v; starting it again in %v", u.name, child.Err(), delay)
		return delay
	case o := <-u.orders:
		u.stop(child, o.kill)
		u.set(nil)
		o.done <- nil
		return o.down
	case <-ctx.Done():
		u.stop(child, false)
		return 0
	}
}

func (u *unit) stop(child *process.Child, kill bool) {
	if kill {
		child.Kill()
		<-child.Done()
		return
	}
	// The unit's context may be over; the grace bounds this.
	ctx, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	child.Stop(ctx)
}

// wait keeps the part down for pause, unless an order shortens it.
func (u *unit) wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		case o := <-u.orders:
			timer.Reset(o.down)
			o.done <- nil
		}
	}
}

// order ends the part; it is started again after down.
func (u *unit) order(ctx context.Context, kill bool, down time.Duration) error {
	o := order{kill: kill, down: down, done: make(chan error, 1)}
	select {
	case u.orders <- o:
		return <-o.done
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", u.name, ctx.Err())
	}
}

func (u *unit) set(c *process.Child) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.child = c
}

func (u *unit) ended(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.exits++
	u.lastErr = err
}

// failures returns how often the part ended by itself, and how last time.
func (u *unit) failures() (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.exits, u.lastErr
}

func (u *unit) pid() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.child == nil {
		return 0
	}
	return u.child.PID()
}

// status asks the part whether it answers.
func (u *unit) status(ctx context.Context, version string) labstate.Component {
	c := labstate.Component{Name: u.name, PID: u.pid(), Version: version, Address: u.address, State: labstate.StateStopped}
	if c.PID == 0 {
		return c
	}
	c.State = labstate.StateNotReady
	if u.probe(ctx) == nil {
		c.State = labstate.StateReady
	}
	return c
}

// openLog opens a part's log for appending.
func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return f, nil
}
