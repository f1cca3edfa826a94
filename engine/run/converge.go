package run

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/engine"
)

// A convergence brings a step to the state where nothing differs.
type convergence struct {
	*stepRun
	ctx context.Context

	writes, looks *pauses
	rounds        int             // of writing that left a difference
	left          map[string]bool // paths that the last round meant to remove
	begun         bool            // the first edit was allowed
	made          futile          // edits that did not help

	last   error         // of this round
	reason error         // the newest error since a round went well, but not the end of the time
	waits  []engine.Edit // the edits that it waited for at the last look; nil if there was something to write
}

// converge looks and writes until there is nothing left to write or to wait
// for.
func (s *stepRun) converge(ctx context.Context, spec any) outcome {
	c := &convergence{stepRun: s, ctx: ctx, writes: s.pauses(), looks: lookPauses(), made: make(futile)}
	for {
		s.early = !s.gate.open.Load()
		out, edits, err := s.node.Kind.Inspect(ctx, spec, &s.env)
		s.conceal(out)
		var end *outcome
		switch {
		case err != nil:
			end = c.lookFailed(err)
		case engine.AwaitedOf(edits) != nil:
			return outcome{state: Awaiting, outputs: out, awaited: engine.AwaitedOf(edits)}
		case len(edits) > 0:
			end = c.differs(edits)
		case s.applied > 0:
			return outcome{state: Changed, outputs: out}
		default:
			return outcome{state: Unchanged, outputs: out}
		}
		if end != nil {
			return *end
		}
	}
}

// The steps of a convergence return its outcome, or nil if the next look follows.

func (c *convergence) fail(path string, err error) *outcome {
	out := c.failed(path, err)
	return &out
}

// stop ends a step without time.
func (c *convergence) stop() *outcome {
	waits := c.waits
	if c.reason != nil && !isContext(c.reason) {
		waits = nil // the look after that failed
	}
	out := c.stopped(c.ctx, c.reason, waits)
	return &out
}

// note keeps an error as the reason why the step is not done.
func (c *convergence) note(err error) {
	if c.reason == nil || !isContext(err) {
		c.reason = err
	}
}

func (c *convergence) lookFailed(err error) *outcome {
	c.note(err)
	switch {
	case c.ctx.Err() != nil:
		return c.stop()
	case errors.Is(err, engine.ErrPermanent):
		return c.fail("", err)
	}
	c.retryLook(err)
	c.last = err
	if !c.looks.pause(c.ctx) {
		return c.stop()
	}
	return nil
}

// differs handles the edits of a look: it waits, pauses, or writes.
func (c *convergence) differs(edits []engine.Edit) *outcome {
	for _, e := range edits {
		c.announce(e)
	}
	writable := writableOf(edits)
	c.made.keep(writable)
	if len(writable) == 0 {
		c.waits, c.reason = engine.NotAwaited(edits), nil
		c.wait(c.waits)
		if !await(c.ctx, c.waits, c.looks) {
			return c.stop()
		}
		return nil
	}
	c.waits = nil
	if at := slices.IndexFunc(writable, func(e engine.Edit) bool { return c.left[e.Path] }); at >= 0 {
		return c.stillDiffers(writable, writable[at].Path)
	}
	if !c.begun {
		if err := c.opts.Review.allows(c.node.ID, writable); err != nil {
			return c.fail("", err)
		}
		c.begun = true
	}
	return c.write(writable)
}

// stillDiffers ends a round that left the difference at path, and fails the step if it
// has no attempt left.
func (c *convergence) stillDiffers(writable []engine.Edit, path string) *outcome {
	c.rounds++
	if most := c.node.Policy.Attempts; most == 0 || c.rounds < most {
		c.retries++
		if !c.writes.pause(c.ctx) {
			return c.stop()
		}
		c.left = nil // the pause is over: look, then write
		return nil
	}
	if c.last != nil {
		return c.fail(path, c.last)
	}
	if at := slices.IndexFunc(writable, c.made.has); at >= 0 {
		return c.fail(writable[at].Path, didNotHelp(writable[at]))
	}
	if at := slices.IndexFunc(writable, func(e engine.Edit) bool { return e.Path == path && e.Confirmed }); at >= 0 {
		return c.fail(path, undone(writable[at], c.rounds))
	}
	return c.fail(path, c.hinted(fmt.Errorf("still differs after %d attempts", c.rounds),
		"something changes it back, or the server stores it differently: compare what differs above"))
}

// write applies the edits of a look up to the first that fails.
func (c *convergence) write(writable []engine.Edit) *outcome {
	c.left, c.last = make(map[string]bool, len(writable)), nil
	var unhelped error
	for _, e := range writable {
		c.left[e.Path] = true
		if c.made.has(e) {
			unhelped = fmt.Errorf("%s: %w", e.Path, didNotHelp(e))
			continue // written already: it may only take a while to be seen
		}
		if c.ctx.Err() != nil {
			return c.stop()
		}
		err := c.apply(c.ctx, e, c.rounds+1)
		if err == nil {
			c.made.add(e)
			continue
		}
		if err == errOld {
			c.left, c.begun = nil, false
			break
		}
		if errors.Is(err, engine.ErrPermanent) {
			return c.fail(e.Path, err)
		}
		c.note(err)
		if c.ctx.Err() != nil {
			return c.stop()
		}
		c.last = err
		c.retryWrite(err, e.Path, c.rounds+1)
		break
	}
	if c.last == nil {
		c.reason = unhelped
	}
	return nil
}
