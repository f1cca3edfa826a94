package manifest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// A merger merges as a strategic merge patch does, and also where that is wrong: in
// lists whose elements do not have a merge key of their own, such as two
// variables of one name, or port 53 for TCP and for UDP. Such a list becomes that of
// target, as a whole.
type merger struct {
	meta strategicpatch.LookupPatchMeta
}

// repeats reports whether any of the objects has a list with a merge key that
// occurs twice.
func (m merger) repeats(objects ...*unstructured.Unstructured) bool {
	return slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return m.repeatsIn(o.Object) })
}

func (m merger) repeatsIn(v map[string]any) bool {
	for key, e := range v {
		switch e := e.(type) {
		case map[string]any:
			if m.field(key).repeatsIn(e) {
				return true
			}
		case []any:
			elements, mergeKey := m.list(key)
			if mergeKey != "" && keysOf(e, mergeKey) == nil {
				return true
			}
			for _, element := range e {
				if object, ok := element.(map[string]any); ok && elements.repeatsIn(object) {
					return true
				}
			}
		}
	}
	return false
}

// patch returns the merge patch that brings live to target; "{}" if
// there is nothing to do. One of a version is refused by the API server if live has
// changed in the meantime, as it must be where lists of others are sent as a whole.
func (m merger) patch(original, target, live *unstructured.Unstructured, ofVersion bool) ([]byte, error) {
	fields := difference(live.Object, m.merge(original.Object, target.Object, live.Object))
	if len(fields) > 0 && ofVersion {
		if err := unstructured.SetNestedField(fields, live.GetResourceVersion(), "metadata", "resourceVersion"); err != nil {
			return nil, err
		}
	}
	return json.Marshal(fields)
}

// difference is the merge patch (RFC 7396) from before to after. It compares whole
// numbers exactly, unlike patches made from text, for which those beyond 2^53 are
// floating-point numbers.
func difference(before, after map[string]any) map[string]any {
	patch := make(map[string]any)
	for key, v := range after {
		old := before[key]
		if reflect.DeepEqual(old, v) {
			continue
		}
		now, isMap := v.(map[string]any)
		was, wasMap := old.(map[string]any)
		if !isMap || !wasMap {
			patch[key] = v
		} else if d := difference(was, now); len(d) > 0 {
			patch[key] = d
		}
	}
	for key := range before {
		if _, kept := after[key]; !kept {
			patch[key] = nil
		}
	}
	return patch
}

func (m merger) merge(original, target, live map[string]any) map[string]any {
	out := make(map[string]any, len(live))
	for key, v := range live {
		if _, had := original[key]; !had {
			out[key] = v
		}
	}
	for key, v := range target {
		switch v := v.(type) {
		case map[string]any:
			was, _ := original[key].(map[string]any)
			is, _ := live[key].(map[string]any)
			out[key] = m.field(key).retain(m.strategies(key), was, v, is)
		case []any:
			was, _ := original[key].([]any)
			is, _ := live[key].([]any)
			out[key] = m.mergeList(key, was, v, is)
		default:
			out[key] = v
		}
	}
	return out
}

// retain is merge for a field with patch strategies: of one with retainKeys fields that
// target does not mention are removed.
func (m merger) retain(strategies []string, original, target, live map[string]any) map[string]any {
	out := m.merge(original, target, live)
	if slices.Contains(strategies, "replace") {
		return target
	}
	if slices.Contains(strategies, "retainKeys") {
		for key := range out {
			if _, ok := target[key]; !ok {
				delete(out, key)
			}
		}
	}
	return out
}

func (m merger) mergeList(key string, original, target, live []any) []any {
	elements, mergeKey := m.list(key)
	strategies := m.strategies(key)
	if mergeKey == "" {
		out := target
		for _, e := range live {
			if slices.Contains(strategies, "merge") && !contains(target, e) && !contains(original, e) {
				out = append(slices.Clip(out), e)
			}
		}
		return out
	}
	was, wants, is := keysOf(original, mergeKey), keysOf(target, mergeKey), keysOf(live, mergeKey)
	if was == nil || wants == nil || is == nil {
		return target // the API server fills in its defaults again
	}
	at := func(list []any, keys []string, k string) map[string]any {
		if i := slices.Index(keys, k); i >= 0 {
			e, _ := list[i].(map[string]any)
			return e
		}
		return nil
	}
	var out []any
	for i, e := range target {
		want, _ := e.(map[string]any)
		out = append(out, elements.retain(strategies, at(original, was, wants[i]), want, at(live, is, wants[i])))
	}
	for i, e := range live {
		if !slices.Contains(wants, is[i]) && !slices.Contains(was, is[i]) {
			out = append(out, e)
		}
	}
	return out
}

// field returns the merger of a field that is an object; it knows no merge keys
// below a field that the type has not.
func (m merger) field(key string) merger {
	if m.meta == nil {
		return m
	}
	meta, _, err := m.meta.LookupPatchMetadataForStruct(key)
	if err != nil {
		return merger{}
	}
	return merger{meta}
}

// list returns the merger of the elements of a field that is a list, and the key
// by which they are merged; "" if the list is replaced as a whole.
func (m merger) list(key string) (merger, string) {
	if m.meta == nil {
		return m, ""
	}
	meta, patch, err := m.meta.LookupPatchMetadataForSlice(key)
	if err != nil {
		return merger{}, ""
	}
	if !slices.Contains(patch.GetPatchStrategies(), "merge") {
		return merger{meta}, ""
	}
	return merger{meta}, patch.GetPatchMergeKey()
}

func (m merger) strategies(key string) []string {
	if m.meta == nil {
		return nil
	}
	_, patch, err := m.meta.LookupPatchMetadataForStruct(key)
	if err != nil {
		return nil
	}
	return patch.GetPatchStrategies()
}

func contains(list []any, v any) bool {
	return slices.ContainsFunc(list, func(e any) bool { return reflect.DeepEqual(e, v) })
}

// keysOf returns the merge keys of the elements, of none as well; nil if one has no key
// or two have the same.
func keysOf(list []any, mergeKey string) []string {
	keys := make([]string, 0, len(list))
	for _, e := range list {
		m, _ := e.(map[string]any)
		if m[mergeKey] == nil {
			return nil
		}
		key := fmt.Sprint(m[mergeKey])
		if slices.Contains(keys, key) {
			return nil
		}
		keys = append(keys, key)
	}
	return keys
}
