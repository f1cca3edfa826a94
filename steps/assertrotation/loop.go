package assertrotation

import (
	"context"
	"time"

	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
	"github.com/ztplan/ztplan/steps/internal/timeline"
)

// A loop handles the events of one rotation, one after another.
type loop struct {
	*rotation
	planned     *disrupt.Disruption // nil without one
	requested   chan requested
	statusTick  *time.Ticker
	overdueTime *time.Timer // the switch should be over
	neverTime   *time.Timer // a server that is late would have switched
	behindTime  *time.Timer // the rotation should have caught up after the disruption
}

func newLoop(r *rotation, d *disrupt.Disruption) *loop {
	return &loop{
		rotation: r, planned: d, requested: make(chan requested, 1), statusTick: time.NewTicker(beat),
		overdueTime: stoppedTimer(), neverTime: stoppedTimer(), behindTime: stoppedTimer(),
	}
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

func (l *loop) stop() {
	l.statusTick.Stop()
	l.overdueTime.Stop()
	l.neverTime.Stop()
	l.behindTime.Stop()
}

// step waits for one event and acts on it.
func (l *loop) step(ctx context.Context) error {
	p := l.proof
	if !l.since.IsZero() && !l.listed() {
		p.servers.Refresh(ctx)
	}
	target, last := l.target, l.line.Last()
	if err := l.handleNext(ctx); err != nil {
		return err
	}
	if l.target != target {
		if target == nil && p.spec.During.Last() {
			p.wg.Go(func() { l.planned.Run(ctx) })
		}
		p.rec.Aim(l.target)
		l.restartSwitch()
	}
	l.continueRollover()
	if !l.disrupted() {
		p.bursts.Continue(ctx, p.rec)
	}
	if l.line.Last() != last && !l.over() {
		p.env.Statusf("%s", l.view())
	}
	return nil
}

// handleNext handles the next event.
func (l *loop) handleNext(ctx context.Context) error {
	p := l.proof
	select {
	case a := <-l.requested:
		return l.handleAnswer(ctx, a)
	case c := <-p.watch.Changes():
		if c.Err != nil {
			return c.Err
		}
		l.handleRead(c)
		if p.state.Handle(c) {
			l.handleChange(c, p.env.Now())
		}
	case s := <-p.prober.Samples():
		p.rec.Add(s)
		l.handleSample(s)
	case w := <-p.bursts.Ended():
		p.rec.EndWave(w)
	case f := <-p.servers.Found():
		return p.servers.Handle(f, p.rec)
	case a := <-p.answers:
		l.kept.Add(a)
	case <-l.statusTick.C:
		l.pace.Update(p.env.Now(), l.rec.Attempts)
		p.env.Statusf("%s", l.view())
	case d := <-p.disruptions:
		if d.Err != nil {
			return d.Err
		}
		if l.handleDisruption(d); d.Milestone == timeline.Restored {
			// A switch that outlasts the disruption has this time for the rest.
			l.overdue, l.never = false, false
			l.overdueTime.Stop()
			l.neverTime.Stop()
			l.behindTime.Reset(p.spec.During.CatchUpLimit())
		}
	case c := <-p.rollovers:
		if l.handleRollover(c); c.Done {
			l.restartSwitch()
		}
	case <-l.overdueTime.C:
		l.overdue = true
		l.neverTime.Reset(p.spec.MaxLate.Std() - p.spec.MaxSwitch.Std())
	case <-l.neverTime.C:
		l.never = true
	case <-l.behindTime.C:
		l.behind = true
	case <-ctx.Done():
		if l.end = endCut; l.overdue {
			l.end = endLate // nothing that is still to come changes that
		}
	}
	return nil
}

// handleAnswer notes that the renewal was asked for, or why not.
func (l *loop) handleAnswer(ctx context.Context, a requested) error {
	switch {
	case ctx.Err() != nil:
		l.end = endCut
		return nil
	case a.err != nil:
		return a.err
	}
	l.asking = false
	l.disruption.Still = a.still
	l.handleRequested(a)
	// The watch may be behind, and the rotation must not end before the requested
	// issuance has begun.
	if c := (certwatch.Change{Certificate: a.cert}); l.proof.state.Handle(c) {
		l.handleChange(c, l.proof.env.Now())
	}
	return nil
}

// restartSwitch gives the switch its whole time again.
func (l *loop) restartSwitch() {
	l.overdue, l.never = false, false
	l.neverTime.Stop()
	l.overdueTime.Reset(l.proof.spec.MaxSwitch.Std())
}
