// Package manifest compares the objects of a manifest with those that a cluster has,
// and makes the patches that bring one to the other. It contacts nothing.
package manifest

import (
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	builtin "k8s.io/client-go/kubernetes/scheme"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// Normalise brings a manifest into the form in which the API server answers:
// without status and null fields, and with a Secret's stringData in data.
func Normalise(o *unstructured.Unstructured) {
	delete(o.Object, "status")
	kubefields.DropNulls(o.Object)
	unstructured.RemoveNestedField(o.Object, "metadata", "creationTimestamp")
	kubefields.EncodeData(o.Object)
}

// Satisfies reports whether have has every field of want. Fields that want leaves
// empty do not count. It does not know the kind: true is certain, false is not.
func Satisfies(want, have any) bool {
	if IsEmpty(want) {
		return true
	}
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for k, w := range want {
			if !Satisfies(w, have[k]) {
				return false
			}
		}
		return true
	case []any:
		have, ok := have.([]any)
		if !ok || len(have) != len(want) {
			return false
		}
		for i, w := range want {
			if !Satisfies(w, have[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(want, have)
}

// IsEmpty reports whether v is null, "", {} or []: the API server drops such a field,
// or fills it in.
func IsEmpty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

// WithIgnored returns a copy of want in which the fields at the given paths, as
// kubefields.Flatten names them, are those of have.
func WithIgnored(want, have *unstructured.Unstructured, paths map[string]bool) *unstructured.Unstructured {
	if len(paths) == 0 {
		return want
	}
	out := want.DeepCopy()
	for key, v := range out.Object {
		ignoreIn(out.Object, key, key, v, have.Object[key], paths)
	}
	return out
}

func ignoreIn(parent map[string]any, key, path string, want, have any, paths map[string]bool) {
	if paths[path] {
		if have == nil {
			delete(parent, key)
		} else {
			parent[key] = runtime.DeepCopyJSONValue(have)
		}
		return
	}
	switch want := want.(type) {
	case map[string]any:
		have, _ := have.(map[string]any)
		for k, v := range want {
			ignoreIn(want, k, path+"/"+k, v, have[k], paths)
		}
	case []any:
		others := byName(have)
		for i, name := range kubefields.ElementNames(want) {
			m, _ := want[i].(map[string]any)
			for k, v := range m {
				ignoreIn(m, k, path+"["+name+"]/"+k, v, others[name][k], paths)
			}
		}
	}
}

// Patch returns the patch that brings live to target, by the rules of helm upgrade:
// fields that original has and target has not are removed, fields that neither has
// stay. Fields that they leave empty stay too, which Helm does not always do (see
// [WithoutEmpty]). The patch is "{}" if there is nothing to do.
func Patch(original, target, live *unstructured.Unstructured) ([]byte, types.PatchType, error) {
	original, target = WithoutEmpty(original, target, live)
	meta, err := patchMeta(target)
	if err != nil {
		return nil, "", err
	}
	if m := (merger{meta}); meta == nil || m.repeats(original, target, live) {
		patch, err := m.patch(original, target, live, meta != nil)
		return patch, types.MergePatchType, err
	}
	var texts [3][]byte
	for i, o := range []*unstructured.Unstructured{original, target, live} {
		b, err := json.Marshal(o.Object)
		if err != nil {
			return nil, "", err
		}
		texts[i] = b
	}
	patch, err := strategicpatch.CreateThreeWayMergePatch(texts[0], texts[1], texts[2], meta, true)
	return patch, types.StrategicMergePatchType, err
}

// ReplacingPatch returns the merge patch that brings live to target, in which lists
// become those of target as a whole. It is refused when live has changed since.
func ReplacingPatch(original, target, live *unstructured.Unstructured) ([]byte, error) {
	original, target = WithoutEmpty(original, target, live)
	return merger{}.patch(original, target, live, true)
}

// RepeatsKeys reports whether one of the objects, all of target's kind, has a list in
// which a merge key occurs twice. Helm's own patch of such a list is wrong.
func RepeatsKeys(target *unstructured.Unstructured, others ...*unstructured.Unstructured) (bool, error) {
	meta, err := patchMeta(target)
	if err != nil {
		return false, err
	}
	return merger{meta}.repeats(append(others, target)...), nil
}

// patchMeta returns the patch strategies and merge keys of an object's kind; nil
// if it is not built in.
func patchMeta(o *unstructured.Unstructured) (strategicpatch.LookupPatchMeta, error) {
	typed, err := builtin.Scheme.New(o.GroupVersionKind())
	if err != nil {
		return nil, nil
	}
	meta, err := strategicpatch.NewPatchMetaFromStruct(typed)
	if err != nil {
		return nil, err
	}
	return meta, nil
}
