package probe

import (
	"context"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// A Discovery finds the servers behind the addresses, again and again. It belongs
// to one goroutine.
type Discovery struct {
	find  func(context.Context) (Servers, error)
	now   func() time.Time
	wg    *engine.Group
	found chan Found
	busy  bool
	begun time.Time // when the newest answer was asked for
}

// NewDiscovery returns a discovery by find, whose goroutines count in wg.
func NewDiscovery(find func(context.Context) (Servers, error), now func() time.Time, wg *engine.Group) *Discovery {
	return &Discovery{find: find, now: now, wg: wg, found: make(chan Found)}
}

// Found is an answer of find.
type Found struct {
	servers Servers
	begun   time.Time
	err     error
}

// First finds the servers for the first time.
func (d *Discovery) First(ctx context.Context) (Servers, error) {
	found, err := d.find(ctx)
	if err != nil {
		return found, err
	}
	return found, found.Check()
}

// Refresh finds the servers again, in the background and once at a time. The answer
// arrives at Found.
func (d *Discovery) Refresh(ctx context.Context) {
	if d.busy {
		return
	}
	d.busy = true
	begun := d.now()
	d.wg.Go(func() {
		s, err := d.find(ctx)
		select {
		case d.found <- Found{s, begun, err}:
		case <-ctx.Done():
		}
	})
}

// Found delivers the answers to Refresh, for Handle.
func (d *Discovery) Found() <-chan Found { return d.found }

// Handle adapts a record to an answer. A failed search changes nothing: it is
// repeated when it is needed.
func (d *Discovery) Handle(f Found, r *Record) error {
	d.busy = false
	if f.err != nil {
		return nil
	}
	d.begun = f.begun
	r.Regroup(f.servers)
	return f.servers.Check()
}

// Since reports whether the newest answer was asked for at a moment or later.
func (d *Discovery) Since(at time.Time) bool { return !d.begun.Before(at) }
