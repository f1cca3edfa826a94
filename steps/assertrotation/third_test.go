package assertrotation_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

// A server that goes back to a certificate of two rotations ago shows one that the
// Secret did hold.
func TestCertificateOfTwoRotationsAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		first := w.pair
		w.rotating = func(n int, r *replica, on bool) {
			if n == 2 && on {
				r.stale.Store(first)
			} else {
				r.stale.Store(nil)
			}
		}
		s := w.newSpec()
		s.Rotations = 2
		r, _ := w.prove(s, 5*time.Minute)
		f := r.find("rotation 2: clients see only")
		if want := "showed serial " + certs.Serial(first.Leaf()) + ", issued by CN=Intermediate CA Lab: an older one, which the Secret held before in this proof"; f.Holds || !strings.Contains(f.Detail, want) {
			t.Errorf("detail = %q, want %q in it", f.Detail, want)
		}
	})
}

// A watch that delivers the Secret late does not make the switch shorter: a read
// shows when it was not there yet. Without permission for that, it may have been
// written at any time since the renewal was asked for.
func TestSwitchIsCountedFromTheEarliestWrite(t *testing.T) {
	for _, forbidden := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 1)
			defer w.close()
			if forbidden {
				w.client.PrependReactor("get", "secrets", func(a clienttesting.Action) (bool, runtime.Object, error) {
					return true, nil, apierrors.NewForbidden(a.GetResource().GroupResource(), "hello-tls", errors.New("no"))
				})
			}
			w.issue = func(int) *tlstest.Pair { time.Sleep(2 * time.Second); return w.make() }
			w.lag = func(int) time.Duration { return time.Second }
			s := w.newSpec()
			s.MaxSwitch = engine.Duration(1300 * time.Millisecond) // the lag, a read and a probe
			r, err := w.prove(s, time.Minute)
			f := r.find("the switch takes at most")
			if (err == nil) != f.Holds {
				t.Fatal(err)
			}
			if f.Holds == forbidden || forbidden && !strings.Contains(f.Detail, "when the Secret was written is not known closely enough, which takes permission to get it") {
				t.Errorf("forbidden %t: holds %t, %v (%s)", forbidden, f.Holds, f.Have, f.Detail)
			}
			if text, _ := f.Have.(string); !strings.Contains(text, " observed, at most ") {
				t.Errorf("have = %v", f.Have)
			}
		})
	}
}

// Probes that fail before the renewal are named, with their counts.
func TestFailingProbesAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.replicas[0].refuse.Store(true)
		r, _ := w.prove(w.newSpec(), time.Minute)
		f := r.find("the wire shows")
		for _, want := range []string{" dial, the newest: connect: refused)", "the certificate in the Secret (serial ", ") holds until 01:00:00Z, in 59 min"} {
			if !strings.Contains(f.Detail, want) {
				t.Errorf("detail = %q, want %q in it", f.Detail, want)
			}
		}
	})
}
