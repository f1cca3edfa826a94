package assertrotation_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/ztplan/ztplan/engine"
)

// A watch that breaks is taken up again; one that cannot be opened is named as
// the cause, with the reason.
func TestBrokenWatch(t *testing.T) {
	for _, c := range []struct {
		resource string
		most     int64 // how often it breaks
		want     string
	}{
		{"certificates", 2, ""},
		{"secrets", 2, ""},
		{"certificaterequests", 2, ""},
		{"certificates", 1000, "watching certificates in namespace ingress-apisix: failed to list"},
		{"secrets", 1000, "watching secrets in namespace ingress-apisix: failed to list"},
	} {
		t.Run(fmt.Sprintf("%s %d", c.resource, c.most), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				var broken atomic.Int64
				w.client.PrependReactor("list", c.resource, func(clienttesting.Action) (bool, runtime.Object, error) {
					if broken.Add(1) <= c.most {
						return true, nil, fmt.Errorf("read: %w", syscall.ECONNRESET)
					}
					return false, nil, nil
				})
				s := w.newSpec()
				s.Settle = engine.Duration(20 * time.Second)
				r, err := w.prove(s, 2*time.Minute)
				if c.want == "" && (err != nil || r.violated() != nil) {
					t.Fatalf("error %v, violated %q", err, r.violated())
				}
				if f := r.find("the wire shows"); !strings.Contains(f.Detail, c.want) {
					t.Errorf("the finding says %q, want %q in it", f.Detail, c.want)
				}
			})
		})
	}
}
