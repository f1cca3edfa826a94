package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/session"
	"github.com/ztplan/ztplan/steps/session/lease"
)

// lock takes the Lease that keeps two drivers of a fleet apart. self names this driver,
// one in a pod by its pod: whether that has ended is known on the hub.
func (a *commands) lock(ctx context.Context, h *hub.Hub, self, name, file string, at fleet.Hub) (context.Context, func(), error) {
	ctx, cancel := context.WithCancelCause(ctx)
	env := &engine.Env{Session: new(engine.Session), Settings: session.Settings{
		Cluster: session.Cluster{Kubeconfig: cmp.Or(a.Kubeconfig, at.Kubeconfig), Context: cmp.Or(a.Context, at.Context)},
	}}
	lock, err := a.driverLock(engine.AllowWrites(ctx), env, name, file, lease.Request{
		Namespace: at.Namespace, Plan: objects.LockName(name), Holder: lease.Self(self), Since: time.Now(), Lost: cancel,
		Dead: func(driver string) bool { return h.DriverEnded(ctx, driver) },
	})
	if apierrors.IsNotFound(err) {
		return nil, nil, &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: "make the namespace of the fleet: kubectl create namespace " + at.Namespace}
	}
	if err != nil {
		return nil, nil, err
	}
	return ctx, func() {
		if err := lock.Release(context.WithoutCancel(ctx)); err != nil && a.Verbose {
			fmt.Fprintln(a.Stderr, "ztplan:", err)
		}
		if err := env.Session.Close(); err != nil && a.Verbose {
			fmt.Fprintln(a.Stderr, "ztplan:", err)
		}
		cancel(nil)
	}, nil
}

// driverLock takes the lock, or returns who has it. A driver that was killed does not give
// it back: unless its pod is known to have ended, it is waited until the lock frees itself.
// A lock that is renewed or given back meanwhile has a driver that lives; a driver in a pod
// waits for it.
func (a *commands) driverLock(ctx context.Context, env *engine.Env, name, file string, of lease.Request) (*lease.Lock, error) {
	if a.patient {
		return lease.Await(ctx, env, of, a.Say)
	}
	lock, err := lease.Acquire(ctx, env, of)
	var first *lease.HeldError
	if !errors.As(err, &first) {
		return lock, err
	}
	held := &cli.Error{Code: cli.Failed, Text: fmt.Sprintf("fleet %s is being driven by %s, since %s: lease %s", name, first.Holder, first.Since.UTC().Format(time.RFC3339), first.Lease),
		Hint: "ztplan fleet status " + file + " shows how it goes; ztplan fleet stop " + file + " stops it"}
	free := time.Now().Add(first.Free)
	a.Say(fmt.Sprintf("ztplan: %s has the lock of fleet %s: waiting at most %v to see whether it lives", first.Holder, name, first.Free.Round(time.Second)))
	for {
		if engine.Pause(ctx, time.Second) != nil {
			return nil, held
		}
		lock, err := lease.Acquire(ctx, env, of)
		var now *lease.HeldError
		switch {
		case errors.As(err, &now) && now.Holder == first.Holder && !time.Now().Add(now.Free).After(free.Add(lockTolerance)):
		case errors.As(err, &now):
			return nil, held
		case err != nil:
			return nil, err
		case time.Now().Before(free.Add(-lockTolerance)):
			return nil, errors.Join(held, lock.Release(ctx))
		default:
			return lock, nil
		}
	}
}

// lockTolerance is how exactly the end of a lock is known: its times have the clock of the
// API server, in seconds.
const lockTolerance = 2 * time.Second
