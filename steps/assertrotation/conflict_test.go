package assertrotation_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

const (
	oneDecides = "one ApisixTls decides what hello.example.local shows"
	wireShows  = "the wire shows the certificate of secret ingress-apisix/hello-tls"
)

// tls adds an ApisixTls to the world.
func (w *world) tls(name, class, secret string, hosts ...any) {
	u := object("apisix.apache.org/v2", "ApisixTls", name, map[string]any{
		"spec": map[string]any{
			"ingressClassName": class, "hosts": hosts,
			"secret": map[string]any{"name": secret, "namespace": namespace},
		},
	})
	if _, err := w.client.Resource(tlsResource).Namespace(namespace).Create(context.Background(), u, metav1.CreateOptions{}); err != nil {
		w.t.Error(err)
	}
}

func TestConflict(t *testing.T) {
	const wildcard = "*.example.local"
	tests := []struct {
		name     string
		break_   func(*world)
		violated []string
		names    string // who is named; "" for nobody
	}{
		{"no other", func(w *world) { w.tls("hello-tls", "apisix", "hello-tls", wildcard) }, nil, ""},
		{"another with the same Secret", func(w *world) {
			w.tls("hello-tls", "apisix", "hello-tls", wildcard)
			w.tls("again", "apisix", "hello-tls", wildcard)
		}, nil, ""},
		{"another with another Secret", func(w *world) {
			w.tls("hello-tls", "apisix", "hello-tls", wildcard)
			w.tls("other", "apisix", "other-tls", "x.local", "*.EXAMPLE.local.")
		}, []string{oneDecides}, "ApisixTls ingress-apisix/other (secret ingress-apisix/other-tls)"},
		{"an exact name wins over ours", func(w *world) {
			w.tls("hello-tls", "apisix", "hello-tls", wildcard)
			w.tls("other", "apisix", "other-tls", host)
		}, []string{oneDecides}, "ingress-apisix/other"},
		{"our exact name wins", func(w *world) {
			w.tls("hello-tls", "apisix", "hello-tls", host)
			w.tls("other", "apisix", "other-tls", wildcard)
		}, nil, ""},
		{"a wildcard covers one label", func(w *world) {
			w.tls("hello-tls", "apisix", "hello-tls", wildcard)
			w.tls("other", "apisix", "other-tls", "*.local", "*.hello.example.local")
		}, nil, ""},
		{"another class", func(w *world) {
			w.tls("hello-tls", "apisix", "hello-tls", wildcard)
			w.tls("other", "inner", "other-tls", wildcard)
		}, nil, ""},
		{"a class that no controller has taken", func(w *world) {
			w.tls("hello-tls", "apisix", "hello-tls", wildcard)
			w.tls("other", "", "other-tls", wildcard)
		}, nil, ""},
		{"served by another gateway", func(w *world) { w.tls("other", "apisix", "other-tls", host) }, nil, ""},
		{"the wire shows the other", func(w *world) {
			w.replicas[0].server.Use(w.make())
			w.tls("hello-tls", "apisix", "hello-tls", wildcard)
			w.tls("other", "apisix", "other-tls", wildcard)
		}, []string{wireShows, oneDecides}, "ingress-apisix/other"},
		{"the wire shows the only one", func(w *world) {
			w.replicas[0].server.Use(w.make())
			w.tls("other", "apisix", "other-tls", wildcard)
		}, []string{wireShows, oneDecides}, "ingress-apisix/other"},
		{"the wire is wrong and another gateway's is named", func(w *world) {
			w.replicas[0].server.Use(w.make())
			w.tls("hello-tls", "apisix", "hello-tls", wildcard)
			w.tls("other", "inner", "other-tls", wildcard)
		}, []string{wireShows}, ""},
		{"not allowed to look", func(w *world) {
			w.tls("hello-tls", "apisix", "hello-tls", wildcard)
			w.tls("other", "apisix", "other-tls", wildcard)
			w.client.PrependReactor("list", "apisixtlses", func(a clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewForbidden(a.GetResource().GroupResource(), "", errors.New("no"))
			})
		}, nil, ""},
		{"the kind is not served", func(w *world) {
			w.client.PrependReactor("list", "apisixtlses", func(a clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewNotFound(a.GetResource().GroupResource(), "")
			})
		}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				tt.break_(w)
				r, err := w.prove(w.newSpec(), 5*time.Minute)
				if got := r.violated(); !slices.Equal(got, tt.violated) {
					t.Fatalf("violated: %q, want %q (%v)", got, tt.violated, err)
				}
				if (len(tt.violated) == 0) != (w.asked == 1) {
					t.Errorf("a renewal was asked for %d times", w.asked)
				}
				if tt.names == "" {
					return
				}
				if have, _ := r.find(oneDecides).Have.(string); !strings.Contains(have, tt.names) {
					t.Errorf("have %q, want it to name %s", have, tt.names)
				}
				if err == nil || !strings.Contains(err.Error(), tt.names) {
					t.Errorf("error %v, want it to name %s", err, tt.names)
				}
			})
		})
	}
}

// An ApisixTls that comes while the rotation is measured is found at its end.
func TestConflictMadeMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		w.tls("hello-tls", "apisix", "hello-tls", "*.example.local")
		w.rotating = func(_ int, _ *replica, on bool) {
			if on {
				w.tls("other", "apisix", "other-tls", "*.example.local")
			}
		}
		r, err := w.prove(w.newSpec(), 5*time.Minute)
		if got := r.violated(); !slices.Equal(got, []string{oneDecides}) {
			t.Errorf("violated: %q (%v)", got, err)
		}
	})
}
