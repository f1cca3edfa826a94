package kubekit

import (
	"errors"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// Makings are the things of a step that other steps look for: Services, Secrets,
// ConfigMaps and kinds. The zero value is empty.
type Makings struct {
	things     map[string]bool
	namespaces map[string]bool // in which controllers of custom resources may make more
}

// certificate is the kind of cert-manager whose controller writes a Secret.
var certificate = schema.GroupKind{Group: "cert-manager.io", Kind: "Certificate"}

// Add adds an object, whose reference has the namespace that it gets.
func (m *Makings) Add(ref Ref, o *unstructured.Unstructured) {
	if m.things == nil {
		m.things, m.namespaces = make(map[string]bool), make(map[string]bool)
	}
	gk := ref.GVK().GroupKind()
	switch {
	case gk == schema.GroupKind{Kind: "Service"}:
		m.things[serviceThing(ref.Namespace, ref.Name)] = true
	case gk == schema.GroupKind{Kind: "Secret"}, gk == schema.GroupKind{Kind: "ConfigMap"}:
		m.things[objectThing(gk.Kind, ref.Namespace, ref.Name)] = true
	case gk == kubefields.CRDKind:
		m.things[kindThing(kubefields.CRDKindOf(o))] = true
	case gk == certificate:
		secret, _, _ := unstructured.NestedString(o.Object, "spec", "secretName")
		m.things[objectThing("Secret", ref.Namespace, secret)] = true
		fallthrough
	case ref.Namespace != "" && !scheme.Scheme.Recognizes(ref.GVK()):
		m.namespaces[ref.Namespace] = true
	}
}

// May reports whether the step may make a thing, or, once it is done, a controller of
// one of its custom resources in the thing's namespace.
func (m *Makings) May(thing string, done bool) bool {
	service, is := strings.CutPrefix(thing, servicePrefix)
	if namespace, _, _ := strings.Cut(service, "/"); is && m.namespaces[namespace] {
		return true
	}
	return !done && m.things[thing]
}

// The names of things, for [engine.Env.MayCome].

const servicePrefix = "Service/"

func serviceThing(namespace, name string) string { return servicePrefix + namespace + "/" + name }
func objectThing(kind, namespace, name string) string {
	return kind + "/" + namespace + "/" + name
}
func kindThing(gk schema.GroupKind) string { return "kind/" + gk.String() }

// A NoServiceError is a Service that does not exist.
type NoServiceError struct{ Namespace, Name string }

func (e *NoServiceError) Error() string { return "no such Service" }

// IsNoService reports whether the cause of err is a Service that does not exist.
func IsNoService(err error) bool { return errors.As(err, new(*NoServiceError)) }

// A NoObjectError is a Secret or a ConfigMap that does not exist.
type NoObjectError struct{ Kind, Namespace, Name string }

func (e *NoObjectError) Error() string {
	return fmt.Sprintf("%s %s/%s does not exist", e.Kind, e.Namespace, e.Name)
}

// Made reports whether a step of the plan may make the object; true also if that is not
// known.
func (e *NoObjectError) Made(env *engine.Env) bool {
	return !env.Hopeless(objectThing(e.Kind, e.Namespace, e.Name))
}

// Settle makes err permanent if it is about a Service that no step of the plan is
// going to make.
func Settle(env *engine.Env, err error) error {
	var no *NoServiceError
	if !errors.As(err, &no) || !env.Hopeless(serviceThing(no.Namespace, no.Name)) {
		return err
	}
	return engine.Permanent(engine.WithHint(fmt.Errorf("%w, and no step of this run makes it", err),
		fmt.Sprintf("correct the namespace and the name, or add the step that installs it: kubectl get services -n %s lists those that are there", no.Namespace)))
}

// NoKind returns a permanent error for a kind that is not served and that no step
// brings, nil if one may still bring it.
func NoKind(env *engine.Env, gvk schema.GroupVersionKind) error {
	if !env.Hopeless(kindThing(gvk.GroupKind())) {
		return nil
	}
	return engine.Permanent(engine.WithHint(fmt.Errorf("kind %s of %s is not served by the cluster, and no step of this run installs its CustomResourceDefinition", gvk.Kind, gvk.GroupVersion()),
		fmt.Sprintf("correct apiVersion and kind, or add the step that installs it: kubectl api-resources --api-group=%s lists the kinds that are there", gvk.Group)))
}
