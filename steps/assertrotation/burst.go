package assertrotation

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// The connections of one wave are open at the same time: a gateway that gives
// new connections to the worker with the fewest must use all its workers. Waves
// follow each other, so that the gateway sets the pace. After a wave that met
// another certificate or a failure the next one waits, at first firstPause, at most lastPause.
const (
	leastWave  = 8
	mostWave   = 32
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// wave opens connections to the endpoints, all at once, and hands a sample for
// each to p.samples. It returns when the last one was handed over.
func (p *prober) wave(ctx context.Context, pause time.Duration, to []target) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return
	}
	var all engine.Group
	var connecting atomic.Int64
	connecting.Store(int64(len(to)))
	opened := make(chan struct{})
	for i, t := range to {
		client := p.clients[i%len(p.clients)]
		all.Go(func() {
			start := p.now()
			id := p.begin(start)
			defer p.end(id)
			arrived := sync.OnceFunc(func() {
				if connecting.Add(-1) == 0 {
					close(opened)
				}
			})
			s, ok := p.probe(ctx, client, t, start, func() {
				arrived()
				select {
				case <-opened:
				case <-time.After(p.limit / 5): // one that hangs must not cost the others their time
				case <-ctx.Done():
				}
			})
			arrived()
			if !ok {
				return
			}
			select {
			case p.samples <- s:
			case <-ctx.Done():
			}
		})
	}
	all.Wait()
}

// A target is an endpoint and its index in the record.
type target struct {
	index    int
	endpoint tlskit.Endpoint
}

// burst starts a wave for each group that needs more handshakes in a row, once
// every address shows the certificate.
func (p *proof) burst(ctx context.Context) {
	addresses := true
	for _, s := range p.rec.series {
		addresses = addresses && s.current != nil && s.print() == p.rec.target
	}
	if p.rec.target == "" || !addresses {
		return
	}
	for i, g := range p.rec.groups {
		if g.waving || g.gone {
			continue
		}
		to := p.wanted(g)
		if len(to) == 0 {
			continue
		}
		g.waving = true
		pause, wave := g.pause, waved{i, g.row, len(to)}
		p.wg.Go(func() {
			p.prober.wave(ctx, pause, to)
			select {
			case p.waves <- wave:
			case <-ctx.Done():
			}
		})
	}
}

// wanted lists whom the next wave goes to: addresses that lack handshakes in a
// row first, then all in turn until the doubt of the group is small enough.
func (p *proof) wanted(g *group) []target {
	most := min(max(g.row, leastWave), mostWave)
	var to []target
	add := func(i int) {
		if len(to) < most {
			to = append(to, target{i, p.endpoints[i]})
		}
	}
	if !g.look {
		for _, i := range g.members {
			for range p.spec.Probe.ConsecutiveNew - p.rec.at(i).run {
				add(i)
			}
		}
	}
	for n := len(to); n < g.missing(p.spec.Probe.MaxDoubt); n++ {
		add(g.members[n%len(g.members)])
	}
	return to
}

// A waved says that a wave of a group has ended.
type waved struct {
	group int
	row   int // of the group when the wave began
	size  int
}

// waveEnded takes in that a wave has ended.
func (p *proof) waveEnded(w waved) {
	g := p.rec.groups[w.group]
	g.waving = false
	if g.row < w.row+w.size {
		g.pause = min(max(2*g.pause, firstPause), lastPause)
	} else {
		g.pause = 0
	}
}
