package lease_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/session/lease"
)

func request(namespace, run string) lease.Request {
	return lease.Request{Namespace: namespace, Plan: "demo", Holder: lease.Self(run)}
}

func TestRealAPIServer(t *testing.T) {
	env := labtest.Env(t)
	namespace := labtest.Namespace(t, env)
	ctx := engine.AllowWrites(t.Context())

	// Of many at once, one gets it.
	var mu sync.Mutex
	var won []*lease.Lock
	var wg sync.WaitGroup
	for _, run := range strings.Fields("a b c d e f") {
		wg.Go(func() {
			l, err := lease.Acquire(ctx, env, request(namespace, run))
			mu.Lock()
			defer mu.Unlock()
			var held *lease.HeldError
			switch {
			case err == nil:
				won = append(won, l)
			case !errors.As(err, &held):
				t.Errorf("run %s: %v", run, err)
			case held.For < 0 || held.For > time.Minute || held.Free > lease.Duration:
				t.Errorf("run %s: %+v", run, held)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d runs have the lock", len(won))
	}
	if err := won[0].Release(context.Background()); err != nil {
		t.Fatal(err)
	}

	// A holder that is gone is succeeded when its lease is over.
	c, err := kubekit.Connect(ctx, env)
	if err != nil {
		t.Fatal(err)
	}
	leases := c.Client().CoordinationV1().Leases(namespace)
	l, err := leases.Get(ctx, "ztplan-demo", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	gone, renewed := "ana@gone pid 1 run x", metav1.NewMicroTime(time.Now())
	l.Spec.HolderIdentity, l.Spec.RenewTime = &gone, &renewed
	if l, err = leases.Update(ctx, l, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := lease.Acquire(ctx, env, request(namespace, "g")); err == nil || !strings.Contains(err.Error(), gone) {
		t.Fatalf("err %v", err)
	}
	renewed = metav1.NewMicroTime(time.Now().Add(-lease.Duration - 3*time.Second))
	l.Spec.RenewTime = &renewed
	if _, err = leases.Update(ctx, l, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	lock, err := lease.Acquire(ctx, env, request(namespace, "h"))
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(context.Background()); err != nil {
		t.Error(err)
	}

	// It cannot be had where it must not be written.
	if _, err := lease.Acquire(t.Context(), env, request(namespace, "i")); !errors.Is(err, kubekit.ErrReadOnly) {
		t.Errorf("without permission to write: %v", err)
	}
	_, err = lease.Acquire(ctx, env, request("absent-"+labtest.Unique(t), "k"))
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "--lock-namespace") {
		t.Errorf("no such namespace: %v, hint %q", err, engine.HintOf(err))
	}
}
