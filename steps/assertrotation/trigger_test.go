package assertrotation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

func TestTriggerWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		s := w.newSpec()
		s.Trigger = "wait"
		w.wg.Go(func() {
			time.Sleep(10 * time.Second)
			w.renew(context.Background())
		})
		r, err := w.prove(s, 10*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if v := r.violated(); v != nil || w.asked != 0 {
			t.Errorf("asked %d times, violated: %q", w.asked, v)
		}
		if r.out.Attempts < 9*10 {
			t.Errorf("%d probes in ten seconds", r.out.Attempts)
		}
		if got := r.out.Timeline[0]; got != "+0.000s request created (hello-cert-2)" {
			t.Errorf("the timeline begins with %q", got)
		}
	})
}

// A certificate whose issuance has failed is not renewed for an hour or more:
// waiting for that is no use.
func TestTriggerWaitAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.update(func(u *unstructured.Unstructured) {
			setCondition(u, "Issuing", "False", "Failed", "denied")
			_ = unstructured.SetNestedField(u.Object, time.Now().UTC().Format(time.RFC3339), "status", "lastFailureTime")
		})
		s := w.newSpec()
		s.Trigger = "wait"
		r, err := w.prove(s, time.Hour)
		if err == nil {
			t.Fatal("it holds")
		}
		if d := r.find("certificate ingress-apisix/hello-cert is issued").Detail; !strings.Contains(d, "denied") || r.took > 5*time.Second {
			t.Errorf("after %s: %q", r.took, d)
		}
	})
}

// An earlier failure must not be taken for one of this rotation.
func TestRenewAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.update(func(u *unstructured.Unstructured) {
			setCondition(u, "Issuing", "False", "Failed", "denied")
			_ = unstructured.SetNestedField(u.Object, time.Now().UTC().Format(time.RFC3339), "status", "lastFailureTime")
			_ = unstructured.SetNestedField(u.Object, int64(3), "status", "failedIssuanceAttempts")
		})
		r, err := w.prove(w.newSpec(), time.Minute)
		if err != nil || r.violated() != nil {
			t.Errorf("error %v, violated %q", err, r.violated())
		}
	})
}

func TestConflictIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		conflicts := 2
		w.client.PrependReactor("update", "certificates", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if action.GetSubresource() != "status" || conflicts == 0 {
				return false, nil, nil
			}
			conflicts--
			return true, nil, apierrors.NewConflict(certificates.GroupResource(), "hello-cert", errors.New("modified"))
		})
		r, err := w.prove(w.newSpec(), time.Minute)
		if err != nil || r.violated() != nil || conflicts != 0 {
			t.Errorf("error %v, violated %q, %d conflicts left", err, r.violated(), conflicts)
		}
	})
}

func TestNothingIsAskedWhileIssuing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.update(func(u *unstructured.Unstructured) { setCondition(u, "Issuing", "True", "Expiring", "due") })
		w.wg.Go(func() {
			time.Sleep(3 * time.Second)
			w.renew(context.Background())
		})
		r, err := w.prove(w.newSpec(), time.Minute)
		if err != nil || r.violated() != nil || w.asked != 0 {
			t.Errorf("error %v, violated %q, asked %d times", err, r.violated(), w.asked)
		}
	})
}

// cert-manager may renew by itself just before it is asked to: the proof must
// not end before the renewal that it asked for has.
func TestRenewalOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.lag = func(int) time.Duration { return time.Millisecond }
		s := w.newSpec()
		s.Probe.Rate, s.Probe.ConsecutiveNew = 100, 3
		w.wg.Go(func() {
			time.Sleep(200 * time.Millisecond) // settled after 30 ms, asked after 1 s
			w.renew(context.Background())
		})
		r, err := w.prove(s, time.Minute)
		if err != nil || r.violated() != nil {
			t.Errorf("error %v, violated %q", err, r.violated())
		}
		if w.asked != 1 || r.out.Revision != 3 || r.out.NewSerial != certs.Serial(w.pair.Leaf()) {
			t.Errorf("asked %d times, revision %d, serial %s; want 1, 3, %s", w.asked, r.out.Revision, r.out.NewSerial, certs.Serial(w.pair.Leaf()))
		}
	})
}
