package lease

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

const (
	// Duration is how long a lock holds without being renewed.
	Duration = 30 * time.Second

	interval = Duration / 3    // between two renewals
	again    = 2 * time.Second // after a renewal that did not succeed
	answer   = 5 * time.Second // for one request
	// giveUp is when a holder that cannot renew stops: while nobody may take the
	// lock over yet.
	giveUp = Duration - answer
)

// DefaultNamespace is where Leases are when the user names no other namespace.
const DefaultNamespace = "default"

// A Request asks for the lock of a plan.
type Request struct {
	Namespace string // of the Lease; empty means DefaultNamespace
	Plan      string // metadata.name
	Holder    Holder

	// Dead, if it is not nil, reports whether the run with this id is known to
	// be over, so that its lock can be taken over at once.
	Dead func(run string) bool

	// Lost, if it is not nil, is called once if the lock is lost, from a
	// goroutine of the lock, with the reason.
	Lost func(error)
}

// A HeldError says that another run holds the lock.
type HeldError struct {
	Lease  string // namespace/name
	Plan   string
	Holder string
	Since  time.Time     // when it took the lock, by the API server's clock
	For    time.Duration // since then
	Free   time.Duration // until the lock frees itself, unless it is renewed
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("plan %s is being run by %s, since %s (%s ago): lease %s",
		e.Plan, e.Holder, e.Since.UTC().Format(time.RFC3339), e.For.Round(time.Second), e.Lease)
}

// errTaken is a conflict: somebody else changed the Lease first.
var errTaken = errors.New("somebody else changed it at the same time")

// A Lock is held until it is released or lost.
type Lock struct {
	client coordinationclient.LeaseInterface
	name   string // namespace/name
	now    func() time.Time
	req    Request

	stop    context.CancelFunc
	stopped chan struct{}

	mu    sync.Mutex
	lease *coordinationv1.Lease // as it was written last
	err   error                 // why it is lost
}

// Acquire takes the lock of a plan in the cluster of env and keeps it renewed
// until Release. A lock that another run holds is a *HeldError, permanent and
// with a hint. ctx must allow writes; it bounds only Acquire.
func Acquire(ctx context.Context, env *engine.Env, req Request) (*Lock, error) {
	if req.Namespace == "" {
		req.Namespace = DefaultNamespace
	}
	l, err := connect(ctx, env, req)
	if err == nil {
		err = l.acquire(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("run lock: %w", err)
	}
	l.start()
	return l, nil
}

func connect(ctx context.Context, env *engine.Env, req Request) (*Lock, error) {
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return nil, err
	}
	clock := new(serverClock)
	config := cluster.Config()
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { clock.next = rt; return clock })
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, engine.Permanent(err)
	}
	client, err := coordinationclient.NewForConfigAndClient(config, hc)
	if err != nil {
		return nil, engine.Permanent(err)
	}
	return newLock(client.Leases(req.Namespace), clock.now, req), nil
}

func newLock(client coordinationclient.LeaseInterface, now func() time.Time, req Request) *Lock {
	return &Lock{client: client, name: req.Namespace + "/" + nameFor(req.Plan), now: now, req: req, stopped: make(chan struct{})}
}

// acquire takes the lock, and looks again when somebody else was faster.
func (l *Lock) acquire(ctx context.Context) error {
	var err error
	for range 5 {
		if err = l.try(ctx); err == nil || !errors.Is(err, errTaken) {
			return l.explain(err)
		}
	}
	return fmt.Errorf("lease %s: %w", l.name, err)
}

func (l *Lock) try(ctx context.Context) error {
	have, err := l.client.Get(ctx, nameFor(l.req.Plan), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return l.created(l.client.Create(ctx, l.fresh(), metav1.CreateOptions{}))
	case err != nil:
		return err
	}
	if err := l.held(have); err != nil {
		return err
	}
	want := l.fresh()
	want.ObjectMeta = *have.ObjectMeta.DeepCopy()
	transitions := int32(1)
	if t := have.Spec.LeaseTransitions; t != nil {
		transitions += *t
	}
	want.Spec.LeaseTransitions = &transitions
	return l.created(l.client.Update(ctx, want, metav1.UpdateOptions{}))
}

// fresh is the Lease as this run takes it.
func (l *Lock) fresh() *coordinationv1.Lease {
	holder, seconds, now := l.req.Holder.String(), int32(Duration/time.Second), metav1.NewMicroTime(l.now())
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name: nameFor(l.req.Plan), Namespace: l.req.Namespace,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "ztplan"},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, AcquireTime: &now, RenewTime: &now},
	}
}

func (l *Lock) created(lease *coordinationv1.Lease, err error) error {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return errTaken
	}
	if err == nil {
		l.lease = lease
	}
	return err
}

// held returns a HeldError if have is somebody else's.
func (l *Lock) held(have *coordinationv1.Lease) error {
	s := have.Spec
	if s.HolderIdentity == nil || *s.HolderIdentity == "" || *s.HolderIdentity == l.req.Holder.String() || s.RenewTime == nil {
		return nil
	}
	duration := Duration
	if s.LeaseDurationSeconds != nil {
		duration = time.Duration(*s.LeaseDurationSeconds) * time.Second
	}
	now := l.now()
	free := s.RenewTime.Add(duration).Sub(now)
	if free <= 0 || l.req.Dead != nil && l.req.Dead(runIn(*s.HolderIdentity)) {
		return nil
	}
	e := &HeldError{Lease: l.name, Plan: l.req.Plan, Holder: *s.HolderIdentity, Since: s.RenewTime.Time, Free: free}
	if s.AcquireTime != nil {
		e.Since = s.AcquireTime.Time
	}
	e.For = now.Sub(e.Since)
	return engine.Permanent(engine.WithHint(e, fmt.Sprintf(
		"wait until that run is over; if it is dead, the lock frees itself in %s; --no-lock goes ahead in spite of it", e.Free.Round(time.Second))))
}

// explain adds what to do to the errors of the API server.
func (l *Lock) explain(err error) error {
	var held *HeldError
	if err == nil || errors.As(err, &held) {
		return err
	}
	err = fmt.Errorf("lease %s: %w", l.name, err)
	switch {
	case apierrors.IsForbidden(err):
		err = engine.WithHint(err, "allow get, create and update on leases there, choose another namespace with --lock-namespace, or leave the lock out with --no-lock")
	case apierrors.IsNotFound(err):
		err = engine.WithHint(err, "choose a namespace that exists with --lock-namespace")
	}
	return kubekit.Classify(err)
}

func (l *Lock) start() {
	ctx, cancel := context.WithCancel(engine.AllowWrites(context.Background()))
	l.stop = cancel
	go func() {
		defer close(l.stopped)
		if err := engine.Try(func() error { l.keep(ctx); return nil }); err != nil {
			l.lose(fmt.Errorf("lease %s is not renewed any more: %w", l.name, err))
		}
	}()
}

// keep renews the lock until ctx ends or the lock is lost.
func (l *Lock) keep(ctx context.Context) {
	renewed, pause := time.Now(), interval
	for {
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		began := time.Now()
		rctx, cancel := context.WithTimeout(ctx, answer)
		err := l.renew(rctx)
		cancel()
		switch {
		case err == nil:
			renewed, pause = began, interval
			continue
		case ctx.Err() != nil:
			return
		case errors.Is(err, engine.ErrPermanent):
			l.lose(err)
			return
		case time.Since(renewed) >= giveUp:
			l.lose(fmt.Errorf("lease %s could not be renewed for %s: %w", l.name, time.Since(renewed).Round(time.Second), err))
			return
		}
		pause = again
	}
}

// renew writes a new renewTime. It is permanent that another run has the lock.
func (l *Lock) renew(ctx context.Context) error {
	l.mu.Lock()
	want := l.lease.DeepCopy()
	l.mu.Unlock()
	err := l.write(ctx, want)
	if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return err
	}
	have, gerr := l.client.Get(ctx, want.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(gerr):
		return engine.Permanent(fmt.Errorf("lease %s was deleted", l.name))
	case gerr != nil:
		return gerr
	case have.Spec.HolderIdentity == nil || *have.Spec.HolderIdentity != l.req.Holder.String():
		by := "nobody"
		if have.Spec.HolderIdentity != nil && *have.Spec.HolderIdentity != "" {
			by = *have.Spec.HolderIdentity
		}
		return engine.Permanent(fmt.Errorf("lease %s is held by %s now", l.name, by))
	}
	return l.write(ctx, have) // somebody touched something else of it
}

func (l *Lock) write(ctx context.Context, want *coordinationv1.Lease) error {
	now := metav1.NewMicroTime(l.now())
	want.Spec.RenewTime = &now
	got, err := l.client.Update(ctx, want, metav1.UpdateOptions{})
	if err == nil {
		l.mu.Lock()
		l.lease = got
		l.mu.Unlock()
	}
	return err
}

func (l *Lock) lose(err error) {
	err = engine.Permanent(engine.WithHint(fmt.Errorf("run lock lost: %w", err),
		"no further edit was started; run the same command again: it looks at what is there and goes on"))
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	if l.req.Lost != nil {
		l.req.Lost(err)
	}
}

// Err returns why the lock is lost, or nil.
func (l *Lock) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Release stops renewing and gives the lock back. Its error is no reason to
// fail: a lock that was not given back frees itself.
func (l *Lock) Release(ctx context.Context) error {
	l.stop()
	<-l.stopped
	if l.err != nil {
		return nil
	}
	want := l.lease.DeepCopy()
	nobody := ""
	want.Spec.HolderIdentity = &nobody
	ctx, cancel := context.WithTimeout(engine.AllowWrites(ctx), answer)
	defer cancel()
	if _, err := l.client.Update(ctx, want, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("run lock: lease %s was not given back, it frees itself in %s: %w", l.name, Duration, err)
	}
	return nil
}
