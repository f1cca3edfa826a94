package lease

import (
	"context"
	"fmt"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// answer is how long one request may take, and the margin before the end of the
// lock: requests that were sent before it have arrived by then.
func (l *Lock) answer() time.Duration { return l.req.Duration / 6 }

// Check returns nil as long as no other run can have taken the lock over. It
// contacts nothing.
func (l *Lock) Check() error {
	_, _, err := l.state()
	return err
}

// state returns how long the error of Check stays nil without a renewal, a channel
// that is closed when that changes, and that error.
func (l *Lock) state() (left time.Duration, changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return 0, l.changed, l.err
	}
	age := l.clock() - l.renewed
	if left = l.req.Duration - l.answer() - age; left > 0 {
		return left, l.changed, nil
	}
	why := ""
	if l.failed != nil {
		why = " (" + l.failed.Error() + ")"
	}
	return 0, l.changed, fmt.Errorf("the run lock was renewed %s ago%s: nothing is written until it is renewed, since another run may have taken it over: lease %s",
		age.Round(time.Second), why, l.name)
}

// Wait returns nil as soon as Check does, and calls say, once, with the reason of
// the wait. The error is the lock's if it is lost, and Check's when ctx ends.
func (l *Lock) Wait(ctx context.Context, say func(string)) error {
	for said := false; ; said = true {
		_, changed, err := l.state()
		if err == nil || l.Err() != nil {
			return err
		}
		if !said {
			say(err.Error())
			l.renewNow()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return err
		}
	}
}

// renewNow does not wait for the time of the next renewal: after a suspend it is
// late.
func (l *Lock) renewNow() {
	select {
	case l.hurry <- struct{}{}:
	default:
	}
}

// Enclose returns a context for an edit: it ends when Check fails, with that as
// its cause, and [engine.WriteCheck] asks Check at every request. The function
// releases its resources.
func (l *Lock) Enclose(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(engine.WritesWhile(ctx, l.Check))
	var watching engine.Group
	watching.Go(func() {
		for {
			left, changed, err := l.state()
			if err != nil {
				cancel(err)
				return
			}
			end := time.NewTimer(left)
			select {
			case <-changed:
			case <-end.C:
			case <-ctx.Done():
			}
			end.Stop()
			if ctx.Err() != nil {
				return
			}
		}
	})
	return ctx, func() { cancel(nil); watching.Wait() }
}
