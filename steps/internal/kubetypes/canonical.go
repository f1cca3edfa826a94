package kubetypes

import (
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// Canonical returns the fields of an object by path, with values as the API server
// writes them: a quantity of 1000m is 1, and a false that is left out where it is the
// default is no field. It knows the kinds of Kubernetes itself; the fields of others
// are returned as they are.
func Canonical(obj *unstructured.Unstructured) map[string]any {
	flat := kubefields.Flatten(obj.Object)
	typed, err := scheme.Scheme.New(obj.GroupVersionKind())
	if err != nil || runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, typed) != nil {
		return flat
	}
	written, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return flat
	}
	known := kubefields.Flatten(written)
	for path, v := range flat {
		if now, has := known[path]; has {
			flat[path] = now
		} else if reflect.ValueOf(v).IsZero() {
			delete(flat, path)
		}
	}
	return flat
}
