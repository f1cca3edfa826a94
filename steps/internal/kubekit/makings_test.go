package kubekit_test

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// A step makes the Services, Secrets, ConfigMaps and kinds among its objects, and the
// Secrets of its Certificates. The controllers of its custom resources may make Services in
// their namespaces, also when it is done.
func TestMakings(t *testing.T) {
	var made kubekit.Makings
	for _, text := range []string{
		"{apiVersion: v1, kind: Service, metadata: {name: app, namespace: web}}",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: quiet}}",
		"{apiVersion: v1, kind: Secret, metadata: {name: s, namespace: quiet}}",
		"{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {name: shop, namespace: store}, spec: {secretName: shop-tls}}",
		"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: oxen.x.io}, spec: {group: x.io, names: {kind: Ox}}}",
		"{apiVersion: x.io/v1, kind: Ox, metadata: {name: o, namespace: meadow}}",
	} {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
			t.Fatal(err)
		}
		made.Add(kubekit.RefOf(o), o)
	}
	for thing, want := range map[string][2]bool{ // before it is done, and then
		"Service/web/app":       {true, false},
		"Service/web/other":     {false, false},
		"Service/quiet/app":     {false, false},
		"Service/meadow/plough": {true, true},
		"Service/store/acme":    {true, true},
		"ConfigMap/quiet/c":     {true, false},
		"ConfigMap/quiet/s":     {false, false},
		"Secret/quiet/s":        {true, false},
		"Secret/store/shop-tls": {true, false},
		"Secret/store/shop":     {false, false},
		"kind/Ox.x.io":          {true, false},
		"kind/Cow.x.io":         {false, false},
	} {
		if got := [2]bool{made.May(thing, false), made.May(thing, true)}; got != want {
			t.Errorf("%s: got %v, want %v", thing, got, want)
		}
	}
}

// A missing Service is a permanent error if nothing makes it, and else one of the moment.
func TestSettle(t *testing.T) {
	missing := &kubekit.NoServiceError{Namespace: "web", Name: "app"}
	for name, c := range map[string]struct {
		may  func(string) bool
		want bool
	}{
		"nothing is known": {nil, false},
		"a step may":       {func(thing string) bool { return thing == "Service/web/app" }, false},
		"no step makes it": {func(string) bool { return false }, true},
	} {
		err := kubekit.Settle(&engine.Env{MayCome: c.may}, missing)
		if got := errors.Is(err, engine.ErrPermanent); got != c.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
