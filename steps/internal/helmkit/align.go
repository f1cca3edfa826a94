package helmkit

import (
	"encoding/base64"
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	builtin "k8s.io/client-go/kubernetes/scheme"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// normalise brings a manifest into the form in which the API server answers:
// without status and null fields, and with a Secret's stringData in data.
func normalise(o *unstructured.Unstructured) {
	delete(o.Object, "status")
	kubekit.DropNulls(o.Object)
	unstructured.RemoveNestedField(o.Object, "metadata", "creationTimestamp")
	if o.GetAPIVersion() != "v1" || o.GetKind() != "Secret" {
		return
	}
	texts, found, _ := unstructured.NestedMap(o.Object, "stringData")
	if !found {
		return
	}
	data, _, _ := unstructured.NestedMap(o.Object, "data")
	if data == nil {
		data = make(map[string]any)
	}
	for name, v := range texts {
		data[name] = base64.StdEncoding.EncodeToString([]byte(text(v)))
	}
	o.Object["data"] = data
	delete(o.Object, "stringData")
}

// met reports whether have is as want asks, as far as can be told without
// knowing the kind: what want leaves out or empty does not count.
func met(want, have any) bool {
	if isEmpty(want) {
		return true
	}
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for k, w := range want {
			if !met(w, have[k]) {
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
			if !met(w, have[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(want, have)
}

// isEmpty reports whether a manifest says nothing with v: the API server drops
// or fills in what is empty.
func isEmpty(v any) bool {
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

// yield returns a copy of want in which the fields at the given paths, as
// kubekit.Leaves names them, are those of have: they are left to others.
func yield(want, have *unstructured.Unstructured, paths map[string]bool) *unstructured.Unstructured {
	if len(paths) == 0 {
		return want
	}
	out := want.DeepCopy()
	for key, v := range out.Object {
		yieldIn(out.Object, key, key, v, have.Object[key], paths)
	}
	return out
}

func yieldIn(parent map[string]any, key, path string, want, have any, paths map[string]bool) {
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
			yieldIn(want, k, path+"/"+k, v, have[k], paths)
		}
	case []any:
		have, _ := have.([]any)
		others := make(map[string]map[string]any)
		for i, name := range kubekit.ElementNames(have) {
			others[name], _ = have[i].(map[string]any)
		}
		for i, name := range kubekit.ElementNames(want) {
			m, _ := want[i].(map[string]any)
			for k, v := range m {
				yieldIn(m, k, path+"["+name+"]/"+k, v, others[name][k], paths)
			}
		}
	}
}

// patchFor returns the patch that makes live what target asks for, by the rules
// of helm upgrade: fields that original has and target has not are removed,
// fields that neither has are left alone. What they leave empty is left alone too,
// which Helm does not always do (see wishes). It is empty ("{}") if there is
// nothing to do.
func patchFor(original, target, live *unstructured.Unstructured) ([]byte, types.PatchType, error) {
	original, target = wishes(original, target, live)
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
