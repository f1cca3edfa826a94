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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
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

// placed adds an object of another kind of gateway to the world.
func (w *world) placed(resource schema.GroupVersionResource, kind, name string, more map[string]any) {
	u := object(resource.GroupVersion().String(), kind, name, more)
	var in dynamic.ResourceInterface = w.client.Resource(resource).Namespace(namespace)
	if resource == classResource {
		u.SetNamespace("")
		in = w.client.Resource(resource)
	}
	if _, err := in.Create(context.Background(), u, metav1.CreateOptions{}); err != nil {
		w.t.Error(err)
	}
}

// class adds an IngressClass that leads to APISIX, or not.
func (w *world) class(name string, apisix bool) {
	spec := map[string]any{"controller": "k8s.io/" + name}
	if apisix {
		spec["parameters"] = map[string]any{"apiGroup": "apisix.apache.org", "kind": "GatewayProxy", "namespace": namespace, "name": "apisix-config", "scope": "Namespace"}
	}
	w.placed(classResource, "IngressClass", name, map[string]any{"spec": spec})
}

// ingress adds an Ingress with one entry of tls.
func (w *world) ingress(name, class, secret string, hosts ...any) {
	w.placed(ingressResource, "Ingress", name, map[string]any{"spec": map[string]any{
		"ingressClassName": class,
		"rules":            []any{map[string]any{"host": host}},
		"tls":              []any{map[string]any{"secretName": secret, "hosts": hosts}},
	}})
}

// gateway adds a Gateway with one listener; behind APISIX if it has a GatewayProxy.
func (w *world) gateway(name string, apisix bool, hostname string, secrets ...string) {
	var refs []any
	for _, s := range secrets {
		refs = append(refs, map[string]any{"name": s})
	}
	listener := map[string]any{"name": "web", "port": int64(443), "protocol": "HTTPS", "tls": map[string]any{"certificateRefs": refs}}
	if hostname != "" {
		listener["hostname"] = hostname
	}
	spec := map[string]any{"gatewayClassName": "any", "listeners": []any{listener}}
	if apisix {
		spec["infrastructure"] = map[string]any{"parametersRef": map[string]any{"group": "apisix.apache.org", "kind": "GatewayProxy", "name": "apisix-config"}}
	}
	w.placed(gatewayResource, "Gateway", name, map[string]any{"spec": spec})
}

// An Ingress and a listener of a Gateway compete for a host as an ApisixTls does, where
// APISIX serves them. Another gateway's choice counts while the wire is wrong.
func TestConflictOfOtherKinds(t *testing.T) {
	const (
		wildcard   = "*.example.local"
		oneObject  = "one object decides what hello.example.local shows"
		oneIngress = "one Ingress decides what hello.example.local shows"
		oneGateway = "one Gateway decides what hello.example.local shows"
	)
	for name, c := range map[string]struct {
		wrong  bool // the wire shows another certificate
		break_ func(*world)
		rule   string // "" for none
		names  string
	}{
		"ingresses of APISIX": {false, func(w *world) {
			w.class("apisix", true)
			w.ingress("ours", "apisix", "hello-tls", host)
			w.ingress("other", "apisix", "other-tls", host)
		}, oneIngress, "Ingress ingress-apisix/other (secret ingress-apisix/other-tls)"},
		"hosts of the rules": {false, func(w *world) {
			w.class("apisix", true)
			w.ingress("ours", "apisix", "hello-tls", host)
			w.ingress("other", "apisix", "other-tls")
		}, oneIngress, "ingress-apisix/other"},
		"ingresses of another controller": {false, func(w *world) {
			w.class("nginx", false)
			w.ingress("ours", "nginx", "hello-tls", host)
			w.ingress("other", "nginx", "other-tls", host)
		}, "", ""},
		"ingresses of another controller, the wire is wrong": {true, func(w *world) {
			w.class("nginx", false)
			w.ingress("ours", "nginx", "hello-tls", host)
			w.ingress("other", "nginx", "other-tls", host)
		}, oneIngress, "ingress-apisix/other"},
		"our exact name wins": {true, func(w *world) {
			w.class("apisix", true)
			w.ingress("ours", "apisix", "hello-tls", host)
			w.ingress("other", "apisix", "other-tls", wildcard)
		}, "", ""},
		"an ApisixTls beside an Ingress": {false, func(w *world) {
			w.class("apisix", true)
			w.tls("hello-tls", "apisix", "hello-tls", host)
			w.ingress("other", "apisix", "other-tls", host)
		}, oneObject, "Ingress ingress-apisix/other"},
		"an ApisixTls beside a listener": {false, func(w *world) {
			w.class("apisix", true)
			w.tls("hello-tls", "apisix", "hello-tls", host)
			w.gateway("other", true, host, "other-tls")
		}, oneObject, "Gateway ingress-apisix/other"},
		"an ApisixTls of another gateway": {false, func(w *world) {
			w.class("inner", false)
			w.tls("hello-tls", "inner", "hello-tls", host)
			w.gateway("other", true, host, "other-tls")
		}, "", ""},
		"listeners behind one GatewayProxy": {false, func(w *world) {
			w.gateway("ours", true, wildcard, "hello-tls")
			w.gateway("other", true, wildcard, "other-tls")
		}, oneGateway, "Gateway ingress-apisix/other"},
		"a more exact listener than one without a hostname": {false, func(w *world) {
			w.gateway("ours", true, "", "hello-tls")
			w.gateway("other", true, host, "other-tls")
		}, oneGateway, "Gateway ingress-apisix/other"},
		"two certificates of one listener": {true, func(w *world) { w.gateway("ours", true, host, "hello-tls", "other-tls") }, "", ""},
		"listeners of two Gateways": {true, func(w *world) {
			w.gateway("ours", false, host, "hello-tls")
			w.gateway("other", false, host, "other-tls")
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				var want []string
				if c.wrong {
					w.replicas[0].server.Use(w.make())
					want = []string{wireShows}
				}
				if c.rule != "" {
					want = append(want, c.rule)
				}
				c.break_(w)
				r, err := w.prove(w.newSpec(), 5*time.Minute)
				if got := r.violated(); !slices.Equal(got, want) {
					t.Fatalf("violated: %q, want %q (%v)", got, want, err)
				}
				if c.rule == "" {
					return
				}
				if have, _ := r.find(c.rule).Have.(string); !strings.Contains(have, c.names) {
					t.Errorf("have %q, want it to name %s", have, c.names)
				}
			})
		})
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
