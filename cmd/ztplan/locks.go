package main

import (
	"context"
	"errors"
	"slices"

	"github.com/ztplan/ztplan/cmd/ztplan/planrun"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/session/lease"
)

// locks are held by a run while it writes: the lock of its plan, and that of
// each Vault that it reaches through the cluster and changes. It implements
// run.Fence. The zero value holds nothing.
type locks struct {
	env     engine.Env
	patient bool            // wait for a run of the plan as well
	want    []lease.Request // the plan's first, then those of Vaults in order
	held    []*lease.Lock   // as many of want as were acquired
}

func (a *app) locks(p *plan.Plan, nodes []run.Node, opts run.Options, of lease.Request) *locks {
	l := &locks{env: opts.Env, patient: a.safety.patient, want: []lease.Request{of}}
	for _, vault := range planrun.Vaults(p, nodes) {
		of.Vault = vault
		l.want = append(l.want, of)
	}
	return l
}

// acquire takes the locks that are not held yet. A second run of the plan is an error at
// once, since it would do the same; another plan that has one of its Vaults is
// waited for.
func (l *locks) acquire(ctx context.Context, say func(string)) error {
	for _, want := range l.want[len(l.held):] {
		var lock *lease.Lock
		var err error
		if want.Vault == "" && !l.patient {
			lock, err = lease.Acquire(ctx, &l.env, want)
		} else {
			lock, err = lease.Await(ctx, &l.env, want, say)
		}
		if err != nil {
			return err
		}
		l.held = append(l.held, lock)
	}
	return nil
}

// Moved reports whether another run may have written since this one began.
func (l *locks) Moved() bool { return slices.ContainsFunc(l.held, (*lease.Lock).Moved) }

// Wait returns nil as soon as every lock is known to be held.
func (l *locks) Wait(ctx context.Context, say func(string)) error {
	for _, lock := range l.held {
		if err := lock.Wait(ctx, say); err != nil {
			return err
		}
	}
	return nil
}

// Enclose returns a context that ends when one of the locks may be another's.
func (l *locks) Enclose(ctx context.Context) (context.Context, context.CancelFunc) {
	var all []context.CancelFunc
	for _, lock := range l.held {
		var release context.CancelFunc
		ctx, release = lock.Enclose(ctx)
		all = append(all, release)
	}
	return ctx, func() {
		for _, release := range all {
			release()
		}
	}
}

// release gives all locks back; see [lease.Lock.Release].
func (l *locks) release(ctx context.Context) error {
	var errs []error
	for _, lock := range slices.Backward(l.held) {
		errs = append(errs, lock.Release(ctx))
	}
	return errors.Join(errs...)
}

// err returns why a lock is lost, or nil.
func (l *locks) err() error {
	for _, lock := range l.held {
		if err := lock.Err(); err != nil {
			return err
		}
	}
	return nil
}
