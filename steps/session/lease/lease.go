package lease

import (
	"cmp"
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

// Duration is how long a lock holds without being renewed, unless a request says
// otherwise.
const Duration = 30 * time.Second

// again is the longest pause after a renewal that did not succeed.
const again = 2 * time.Second

// DefaultNamespace is where Leases are when the user names no other namespace.
const DefaultNamespace = "default"

// A Request asks for the lock of a plan or of a Vault.
type Request struct {
	Namespace string // of the Lease; empty means DefaultNamespace
	Plan      string // metadata.name
	Vault     string // namespace/name of Vault's Service: the lock of that Vault, not of the plan
	Holder    Holder

	// Duration, in whole seconds, is how long the lock holds without being
	// renewed; 0 means the constant.
	Duration time.Duration

	// Since is when the run began to look at the world, by this machine's clock.
	Since time.Time

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
	What   string // what goes on: "plan demo is being run"
	Holder string
	Since  time.Time     // when it took the lock, by the API server's clock
	For    time.Duration // since then
	Free   time.Duration // until the lock frees itself, unless it is renewed
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s by %s, since %s (%s ago): lease %s",
		e.What, e.Holder, e.Since.UTC().Format(time.RFC3339), e.For.Round(time.Second), e.Lease)
}

// errTaken is a conflict: somebody else changed the Lease first.
var errTaken = errors.New("somebody else changed it at the same time")

// A Lock is held until it is released or lost.
type Lock struct {
	client coordinationclient.LeaseInterface
	name   string // namespace/name
	now    func() time.Time
	clock  func() time.Duration // of this machine, counts suspend
	req    Request
	moved  bool

	stop    context.CancelFunc
	stopped chan struct{}
	hurry   chan struct{} // asks for a renewal now

	mu      sync.Mutex
	lease   *coordinationv1.Lease // as it was written last
	renewed time.Duration         // by clock, when that was begun
	failed  error                 // why the newest renewal did not succeed
	err     error                 // why it is lost
	changed chan struct{}         // is closed when one of these changes
}

// Acquire takes the lock of a plan in the cluster of env and keeps it renewed
// until Release. A lock that another run holds is a *HeldError, permanent and
// with a hint. ctx must allow writes; it bounds only Acquire.
func Acquire(ctx context.Context, env *engine.Env, req Request) (*Lock, error) {
	req.Namespace = cmp.Or(req.Namespace, DefaultNamespace)
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

// Await is Acquire, and waits as long as another run holds the lock. It calls say
// with who does. When ctx ends, its error is the *HeldError.
func Await(ctx context.Context, env *engine.Env, req Request, say func(string)) (*Lock, error) {
	req.Namespace = cmp.Or(req.Namespace, DefaultNamespace)
	l, err := connect(ctx, env, req)
	if err != nil {
		return nil, fmt.Errorf("run lock: %w", err)
	}
	for said := ""; ; {
		err := l.acquire(ctx)
		var held *HeldError
		switch {
		case err == nil:
			l.start()
			return l, nil
		case !errors.As(err, &held):
			return nil, fmt.Errorf("run lock: %w", err)
		case held.Holder != said:
			said = held.Holder
			say(held.Error())
		}
		pause := time.NewTimer(min(held.Free, again))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, fmt.Errorf("run lock: %w", err)
		}
	}
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
	return newLock(client.Leases(req.Namespace), clock.now, newClock(), req), nil
}

func newLock(client coordinationclient.LeaseInterface, now func() time.Time, clock func() time.Duration, req Request) *Lock {
	if req.Duration == 0 {
		req.Duration = Duration
	}
	return &Lock{
		client: client, name: req.Namespace + "/" + req.lease(), now: now, clock: clock, req: req,
		stopped: make(chan struct{}), hurry: make(chan struct{}, 1), changed: make(chan struct{}),
	}
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
	have, err := l.client.Get(ctx, l.req.lease(), metav1.GetOptions{})
	began := l.clock()
	switch {
	case apierrors.IsNotFound(err):
		return l.created(began)(l.client.Create(ctx, l.fresh(), metav1.CreateOptions{}))
	case err != nil:
		return err
	}
	if err := l.held(have); err != nil {
		l.moved = true
		return err
	}
	l.moved = l.moved || l.written(have)
	want := l.fresh()
	want.ObjectMeta = *have.ObjectMeta.DeepCopy()
	transitions := int32(1)
	if t := have.Spec.LeaseTransitions; t != nil {
		transitions += *t
	}
	want.Spec.LeaseTransitions = &transitions
	return l.created(began)(l.client.Update(ctx, want, metav1.UpdateOptions{}))
}

// fresh is the Lease as this run takes it.
func (l *Lock) fresh() *coordinationv1.Lease {
	holder, seconds, now := l.req.Holder.String(), int32(l.req.Duration/time.Second), metav1.NewMicroTime(l.now())
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name: l.req.lease(), Namespace: l.req.Namespace,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "ztplan"},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, AcquireTime: &now, RenewTime: &now},
	}
}

// created takes note of an answer to a request that was begun at a time.
func (l *Lock) created(began time.Duration) func(*coordinationv1.Lease, error) error {
	return func(lease *coordinationv1.Lease, err error) error {
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			l.moved = true
			return errTaken
		}
		if err == nil {
			l.lease, l.renewed = lease, began
		}
		return err
	}
}

// written reports whether a former holder may have written since the run began.
func (l *Lock) written(have *coordinationv1.Lease) bool {
	last := have.Spec.RenewTime
	if last == nil {
		return true
	}
	end := last.Time
	if h := have.Spec.HolderIdentity; h != nil && *h != "" {
		end = end.Add(durationOf(have)) // it did not give the lock back
	}
	return end.Add(tolerance).After(l.now().Add(-time.Since(l.req.Since)))
}

// Moved reports whether another run may have written since [Request.Since], before
// this one had the lock.
func (l *Lock) Moved() bool { return l.moved }

func durationOf(l *coordinationv1.Lease) time.Duration {
	if s := l.Spec.LeaseDurationSeconds; s != nil {
		return time.Duration(*s) * time.Second
	}
	return Duration
}

// held returns a HeldError if have is somebody else's.
func (l *Lock) held(have *coordinationv1.Lease) error {
	s := have.Spec
	if s.HolderIdentity == nil || *s.HolderIdentity == "" || *s.HolderIdentity == l.req.Holder.String() || s.RenewTime == nil {
		return nil
	}
	now := l.now()
	free := s.RenewTime.Add(durationOf(have)).Sub(now)
	if free <= 0 || l.req.Dead != nil && l.req.Dead(runIn(*s.HolderIdentity)) {
		return nil
	}
	e := &HeldError{Lease: l.name, What: l.req.what(), Holder: *s.HolderIdentity, Since: s.RenewTime.Time, Free: free}
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

// keep renews the lock until ctx ends or the lock is another's. That it cannot be
// renewed is no reason to stop: as long as nobody took it, it is still held, and
// [Lock.Wait] lets no edit start meanwhile.
func (l *Lock) keep(ctx context.Context) {
	interval := l.req.Duration / 3
	for pause := interval; ; {
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-l.hurry:
			t.Stop()
		case <-t.C:
		}
		rctx, cancel := context.WithTimeout(ctx, l.answer())
		err := l.renew(rctx)
		cancel()
		switch {
		case err == nil:
			pause = interval
			continue
		case ctx.Err() != nil:
			return
		case errors.Is(err, engine.ErrPermanent):
			l.lose(err)
			return
		}
		l.note(func() { l.failed = err })
		pause = min(again, interval/2)
	}
}

// note changes what mu guards and wakes those who wait.
func (l *Lock) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

// renew writes a new renewTime. It is permanent that another run has the lock, or
// had it.
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
	case have.Spec.HolderIdentity == nil || *have.Spec.HolderIdentity == "":
		return engine.Permanent(fmt.Errorf("lease %s was taken over by another run, which is over", l.name))
	case *have.Spec.HolderIdentity != l.req.Holder.String():
		return engine.Permanent(fmt.Errorf("lease %s is held by %s now", l.name, *have.Spec.HolderIdentity))
	}
	return l.write(ctx, have) // somebody touched something else of it
}

func (l *Lock) write(ctx context.Context, want *coordinationv1.Lease) error {
	now, began := metav1.NewMicroTime(l.now()), l.clock()
	want.Spec.RenewTime = &now
	got, err := l.client.Update(ctx, want, metav1.UpdateOptions{})
	if err == nil {
		l.note(func() { l.lease, l.renewed, l.failed = got, began, nil })
	}
	return err
}

func (l *Lock) lose(err error) {
	err = engine.Permanent(engine.WithHint(fmt.Errorf("run lock lost: %w", err),
		"no further edit was started; run the same command again: it looks at what is there and goes on"))
	l.note(func() { l.err = err })
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
	nobody, now := "", metav1.NewMicroTime(l.now())
	want.Spec.HolderIdentity, want.Spec.RenewTime = &nobody, &now
	ctx, cancel := context.WithTimeout(engine.AllowWrites(ctx), l.answer())
	defer cancel()
	if _, err := l.client.Update(ctx, want, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("run lock: lease %s was not given back, it frees itself in %s: %w", l.name, l.req.Duration, err)
	}
	return nil
}
