package lease

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Duration is how long a lock holds without being renewed, unless a request sets
// another duration.
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

// A HeldError means that another run holds the lock.
type HeldError struct {
	Lease  string // namespace/name
	What   string // the work under the lock: "plan demo is being run"
	Holder string
	Since  time.Time     // when it took the lock, by the API server's clock
	For    time.Duration // since then
	Free   time.Duration // until the lock frees itself, unless it is renewed
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s by %s, since %s (%s ago): lease %s",
		e.What, e.Holder, e.Since.UTC().Format(time.RFC3339), e.For.Round(time.Second), e.Lease)
}

// errTaken is a conflict: the Lease was changed first.
var errTaken = errors.New("another run changed it at the same time")

// A Lock is held until it is released or lost.
type Lock struct {
	object *resourcelock.LeaseLock
	record resourcelock.LeaderElectionRecord // as this run writes it
	name   string                            // namespace/name
	now    func() time.Time
	clock  func() time.Duration // of this machine, counts suspend
	req    Request
	moved  bool

	stop    context.CancelFunc
	stopped chan struct{}
	hurry   chan struct{} // asks for a renewal now

	mu      sync.Mutex
	renewed time.Duration // by clock, when the last renewal was begun
	failed  error         // why the newest renewal did not succeed
	err     error         // why it is lost
	changed chan struct{} // is closed when one of these changes
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
// with the holder. When ctx ends, its error is the *HeldError.
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
		if engine.Pause(ctx, min(held.Free, again)) != nil {
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
	return newLock(client, clock.now, newClock(), req), nil
}

func newLock(client coordinationclient.LeasesGetter, now func() time.Time, clock func() time.Duration, req Request) *Lock {
	if req.Duration == 0 {
		req.Duration = Duration
	}
	return &Lock{
		object: &resourcelock.LeaseLock{
			LeaseMeta: metav1.ObjectMeta{Name: req.lease(), Namespace: req.Namespace},
			Client:    client,
			Labels:    map[string]string{"app.kubernetes.io/managed-by": "ztplan"},
		},
		name: req.Namespace + "/" + req.lease(), now: now, clock: clock, req: req,
		stopped: make(chan struct{}), hurry: make(chan struct{}, 1), changed: make(chan struct{}),
	}
}

// acquire takes the lock. It reads the Lease again when another run was faster.
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
	have, _, err := l.object.Get(ctx)
	began, now := l.clock(), metav1.NewTime(l.now())
	l.record = resourcelock.LeaderElectionRecord{
		HolderIdentity:       l.req.Holder.String(),
		LeaseDurationSeconds: int(l.req.Duration / time.Second),
		AcquireTime:          now,
		RenewTime:            now,
	}
	switch {
	case apierrors.IsNotFound(err):
		err = l.object.Create(ctx, l.record)
	case err != nil:
		return err
	default:
		if err := l.held(have); err != nil {
			l.moved = true
			return err
		}
		l.moved = l.moved || l.written(have)
		l.record.LeaderTransitions = have.LeaderTransitions + 1
		err = l.object.Update(ctx, l.record)
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		l.moved = true
		return errTaken
	}
	if err == nil {
		l.renewed = began
	}
	return err
}

// written reports whether a former holder may have written since the run began.
func (l *Lock) written(have *resourcelock.LeaderElectionRecord) bool {
	if have.RenewTime.IsZero() {
		return true
	}
	end := have.RenewTime.Time
	if have.HolderIdentity != "" {
		end = end.Add(durationOf(have)) // it did not give the lock back
	}
	return end.Add(tolerance).After(l.now().Add(-time.Since(l.req.Since)))
}

// Moved reports whether another run may have written since [Request.Since], before
// this one had the lock.
func (l *Lock) Moved() bool { return l.moved }

func durationOf(r *resourcelock.LeaderElectionRecord) time.Duration {
	return cmp.Or(time.Duration(r.LeaseDurationSeconds)*time.Second, Duration)
}

// held returns a HeldError if another run holds the lock.
func (l *Lock) held(have *resourcelock.LeaderElectionRecord) error {
	if have.HolderIdentity == "" || have.HolderIdentity == l.req.Holder.String() || have.RenewTime.IsZero() {
		return nil
	}
	now := l.now()
	free := have.RenewTime.Add(durationOf(have)).Sub(now)
	if free <= 0 || l.req.Dead != nil && l.req.Dead(runIn(have.HolderIdentity)) {
		return nil
	}
	e := &HeldError{Lease: l.name, What: l.req.what(), Holder: have.HolderIdentity, Since: have.RenewTime.Time, Free: free}
	if !have.AcquireTime.IsZero() {
		e.Since = have.AcquireTime.Time
	}
	e.For = now.Sub(e.Since)
	return engine.Permanent(engine.WithHint(e, fmt.Sprintf(
		"wait until that run is over; if it is dead, the lock frees itself in %s; --no-lock goes ahead in spite of it", e.Free.Round(time.Second))))
}

// explain adds hints to the errors of the API server.
func (l *Lock) explain(err error) error {
	var held *HeldError
	if err == nil || errors.As(err, &held) {
		return err
	}
	err = fmt.Errorf("lease %s: %w", l.name, err)
	switch {
	case apierrors.IsForbidden(err):
		err = engine.WithHint(err, "allow get, create and update on leases there (ztplan rbac PLAN prints the roles that the plan needs), choose another namespace with --lock-namespace, or leave the lock out with --no-lock")
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

// keep renews the lock until ctx ends or the lock is another's. A failed renewal is no
// reason to stop: as long as no other run took it, it is still held, and [Lock.Wait]
// lets no edit start meanwhile.
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

// note changes the fields that mu guards and wakes those who wait.
func (l *Lock) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

// renew writes a new renewTime. The error is permanent if another run has the lock, or
// had it.
func (l *Lock) renew(ctx context.Context) error {
	err := l.write(ctx)
	if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		return err
	}
	have, _, err := l.object.Get(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return engine.Permanent(fmt.Errorf("lease %s was deleted", l.name))
	case err != nil:
		return err
	case have.HolderIdentity == "":
		return engine.Permanent(fmt.Errorf("lease %s was taken over by another run, which is over", l.name))
	case have.HolderIdentity != l.req.Holder.String():
		return engine.Permanent(fmt.Errorf("lease %s is held by %s now", l.name, have.HolderIdentity))
	}
	return l.write(ctx) // something else of it was changed
}

func (l *Lock) write(ctx context.Context) error {
	began := l.clock()
	l.record.RenewTime = metav1.NewTime(l.now())
	err := l.object.Update(ctx, l.record)
	if err == nil {
		l.note(func() { l.renewed, l.failed = began, nil })
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
	l.record.HolderIdentity, l.record.RenewTime = "", metav1.NewTime(l.now())
	ctx, cancel := context.WithTimeout(engine.AllowWrites(ctx), l.answer())
	defer cancel()
	if err := l.object.Update(ctx, l.record); err != nil {
		return fmt.Errorf("run lock: lease %s was not given back, it frees itself in %s: %w", l.name, l.req.Duration, err)
	}
	return nil
}

// Permissions are needed to take the lock and to keep it.
func (r Request) Permissions() []engine.Permission {
	lease := engine.Permission{Group: "coordination.k8s.io", Resource: "leases", Namespace: cmp.Or(r.Namespace, DefaultNamespace), Reason: "keeps two runs apart", Write: true}
	create, hold := lease, lease
	create.Verbs = []string{"create"}
	hold.Verbs, hold.Name = []string{"get", "update"}, r.lease()
	return []engine.Permission{create, hold}
}
