package manifest

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// WithoutEmpty returns copies of original and target without the fields that they
// leave empty (null, {} or []) and in which live has something: charts write
// "annotations:" and mean nothing by it, and a patch would remove the fields that
// others have put there. A field that original fills in and target leaves empty loses
// the content of original. Where live has nothing, {} and [] stay: an emptyDir needs
// its {}. null never stays: the API server drops it.
func WithoutEmpty(original, target, live *unstructured.Unstructured) (*unstructured.Unstructured, *unstructured.Unstructured) {
	o, t := original.DeepCopy(), target.DeepCopy()
	dropEmpty(o.Object, t.Object, live.Object)
	return o, t
}

func dropEmpty(original, target, live map[string]any) {
	for key, v := range target {
		was, is := original[key], live[key]
		switch {
		case !saysNothing(v):
			dropEmptyBelow(was, v, is)
		case !saysNothing(was):
			emptied(target, key, v, was)
		case v == nil, !saysNothing(is):
			delete(target, key)
		}
	}
	for key, v := range original {
		_, kept := target[key]
		if v == nil || saysNothing(v) && !kept && !saysNothing(live[key]) {
			delete(original, key)
		}
	}
}

// emptied is for a field that had something and is empty now.
func emptied(target map[string]any, key string, v, was any) {
	if v != nil {
		return
	}
	switch was.(type) {
	case map[string]any:
		target[key] = map[string]any{}
	case []any:
		target[key] = []any{}
	default:
		delete(target, key)
	}
}

func dropEmptyBelow(original, target, live any) {
	switch t := target.(type) {
	case map[string]any:
		o, _ := original.(map[string]any)
		l, _ := live.(map[string]any)
		dropEmpty(o, t, l)
	case []any:
		originals, lives := byName(original), byName(live)
		for i, name := range kubefields.ElementNames(t) {
			e, _ := t[i].(map[string]any)
			dropEmpty(originals[name], e, lives[name])
		}
	}
}

// byName returns the elements of a list of objects by the names of
// kubefields.ElementNames.
func byName(v any) map[string]map[string]any {
	list, _ := v.([]any)
	named := make(map[string]map[string]any, len(list))
	for i, name := range kubefields.ElementNames(list) {
		named[name], _ = list[i].(map[string]any)
	}
	return named
}

// saysNothing reports whether v is null, {} or [].
func saysNothing(v any) bool {
	_, isText := v.(string)
	return !isText && IsEmpty(v)
}
