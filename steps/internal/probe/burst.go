package probe

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// The connections of one wave are open at the same time: a gateway that gives
// new connections to the worker with the fewest must use all its workers. Waves
// follow each other, so that the gateway sets the pace. After a wave that showed
// another certificate or a failure the next one waits, at first firstPause, at
// most lastPause.
const (
	leastWave  = 8
	mostWave   = 32
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// Bursts opens new connections until the doubt of a record is small enough.
type Bursts struct {
	prober *Prober
	wg     *engine.Group
	ended  chan Wave
}

// NewBursts returns bursts of a prober whose goroutines count in wg.
func NewBursts(p *Prober, wg *engine.Group) *Bursts {
	return &Bursts{prober: p, wg: wg, ended: make(chan Wave)}
}

// A Wave is a number of connections for one group of a record.
type Wave struct {
	group int
	row   int // of the group when the wave began
	size  int
}

// Ended delivers the waves that ended, for Record.EndWave.
func (b *Bursts) Ended() <-chan Wave { return b.ended }

// Continue starts a wave for each group of r that needs more handshakes in a row,
// once every address shows the certificate. It does nothing for groups with a
// wave under way.
func (b *Bursts) Continue(ctx context.Context, r *Record) {
	if !r.shownEverywhere() {
		return
	}
	for i, g := range r.groups {
		if g.waving || g.gone {
			continue
		}
		to := r.wanted(g)
		if len(to) == 0 {
			continue
		}
		g.waving = true
		pause, wave := g.pause, Wave{i, g.row, len(to)}
		b.wg.Go(func() {
			b.prober.wave(ctx, pause, to)
			select {
			case b.ended <- wave:
			case <-ctx.Done():
			}
		})
	}
}

// wave opens connections to the targets, all at once, and returns when the last
// sample was received.
func (p *Prober) wave(ctx context.Context, pause time.Duration, to []target) {
	if engine.Pause(ctx, pause) != nil {
		return
	}
	var all engine.Group
	var connecting atomic.Int64
	connecting.Store(int64(len(to)))
	opened := make(chan struct{})
	for i, t := range to {
		client := p.clients[i%len(p.clients)]
		all.Go(func() {
			arrived := sync.OnceFunc(func() {
				if connecting.Add(-1) == 0 {
					close(opened)
				}
			})
			defer arrived()
			p.report(ctx, client, t, func() {
				arrived()
				select {
				case <-opened:
				case <-time.After(p.Timeout / 5): // one that hangs must not cost the others their time
				case <-ctx.Done():
				}
			})
		})
	}
	all.Wait()
}

// shownEverywhere reports whether every address shows the target.
func (r *Record) shownEverywhere() bool {
	for _, s := range r.addresses {
		if s.Current == nil || s.fingerprint() != r.target {
			return false
		}
	}
	return r.target != ""
}

// wanted lists the targets of the next wave: addresses that lack handshakes in a
// row first, then all in turn until the doubt of the group is small enough.
func (r *Record) wanted(g *group) []target {
	most := min(max(g.row, leastWave), mostWave)
	var to []target
	add := func(i int) {
		if len(to) < most {
			to = append(to, target{i, r.endpoints[i]})
		}
	}
	if !g.pod {
		for _, i := range g.members {
			for range r.limits.ConsecutiveNew - r.at(i).run {
				add(i)
			}
		}
	}
	for n := len(to); n < g.missing(r.limits.MaxDoubt); n++ {
		add(g.members[n%len(g.members)])
	}
	return to
}

// EndWave notes that a wave has ended.
func (r *Record) EndWave(w Wave) {
	g := r.groups[w.group]
	g.waving = false
	if g.row < w.row+w.size {
		g.pause = min(max(2*g.pause, firstPause), lastPause)
	} else {
		g.pause = 0
	}
}
