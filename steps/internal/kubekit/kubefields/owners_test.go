package kubefields

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A field has the managers of the field itself; without one, those who have what contains
// it as a whole.
func TestManagers(t *testing.T) {
	entry := func(manager, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
	}
	const whole, level, empty = `{"f:data":{}}`, `{"f:data":{"f:level":{}}}`, `{"f:data":{".":{}}}`
	for name, c := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		want    []string // of those that begin with an a
	}{
		"the field":                       {[]metav1.ManagedFieldsEntry{entry("a", level), entry("b", level)}, []string{"a"}},
		"two":                             {[]metav1.ManagedFieldsEntry{entry("ab", level), entry("aa", level)}, []string{"aa", "ab"}},
		"the whole":                       {[]metav1.ManagedFieldsEntry{entry("a", whole)}, []string{"a"}},
		"a map that another filled":       {[]metav1.ManagedFieldsEntry{entry("a", empty), entry("b", level)}, nil},
		"a map that another made":         {[]metav1.ManagedFieldsEntry{entry("b", empty), entry("a", level)}, []string{"a"}},
		"another field of the same map":   {[]metav1.ManagedFieldsEntry{entry("a", `{"f:data":{".":{},"f:mode":{}}}`)}, nil},
		"a field whose name begins alike": {[]metav1.ManagedFieldsEntry{entry("a", `{"f:dat":{}}`)}, nil},
	} {
		o := &unstructured.Unstructured{Object: map[string]any{}}
		o.SetManagedFields(c.entries)
		all := OwnedBy(o, func(m metav1.ManagedFieldsEntry) bool { return m.Manager[0] == 'a' })
		if d := cmp.Diff(c.want, all.Managers("data/level")); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if all.Has("data/level") != (c.want != nil) {
			t.Errorf("%s: has it: %v", name, all.Has("data/level"))
		}
	}
}
