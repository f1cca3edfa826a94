package run

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// pauses is a growing series of pauses.
type pauses struct {
	next    time.Duration
	backoff float64
	most    time.Duration
	jitter  float64
}

func (s *stepRun) pauses() *pauses {
	p := s.node.Policy
	return &pauses{next: p.Delay, backoff: max(p.Backoff, 1), most: p.MaxDelay, jitter: p.Jitter}
}

// lookPauses paces looking, which is free: quickly at first, for states that
// change within milliseconds, then once in two seconds.
func lookPauses() *pauses {
	return &pauses{next: 50 * time.Millisecond, backoff: 1.5, most: 2 * time.Second}
}

// take returns the next pause and lengthens the one after it.
func (p *pauses) take() time.Duration {
	d := p.next
	if p.next = time.Duration(float64(p.next) * p.backoff); p.most > 0 && p.next > p.most {
		p.next = p.most
	}
	if p.jitter > 0 {
		d += time.Duration((rand.Float64()*2 - 1) * p.jitter * float64(d))
	}
	return d
}

// pause waits for the next pause and reports false if ctx ended first.
func (p *pauses) pause(ctx context.Context) bool { return engine.Pause(ctx, p.take()) == nil }

// closest is the least time between two looks, so that a watch that fires all
// the time does not turn into a busy loop.
const closest = 10 * time.Millisecond

// longest is the most time between two looks: a watch that missed its event
// must not hang the step.
const longest = 10 * time.Second

// await returns true when another look is worthwhile, false when ctx ended.
func await(ctx context.Context, edits []engine.Edit, p *pauses) bool {
	watchers := 0
	wctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	changed := make(chan struct{}, len(edits))
	for _, e := range edits {
		if e.Await == nil {
			continue
		}
		watchers++
		go func() {
			if engine.Try(func() error { return e.Await(wctx) }) != nil && wctx.Err() == nil {
				_ = engine.Pause(wctx, p.most) // a watch that cannot be made: fall back to looking
			}
			changed <- struct{}{}
		}()
	}
	if watchers < len(edits) {
		d := p.take()
		go func() { _ = engine.Pause(wctx, d); changed <- struct{}{} }()
	}
	if engine.Pause(ctx, closest) != nil {
		return false
	}
	select {
	case <-changed:
	case <-wctx.Done():
	}
	return ctx.Err() == nil
}
