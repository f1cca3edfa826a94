package kubefields

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Owned are fields of an object by who manages them, as the API server records it
// (metadata.managedFields).
type Owned []owned

type owned struct {
	manager string
	asked   bool // for this manager
	set     *fieldpath.Set
}

// OwnedBy returns the fields of the managers that match accepts.
func OwnedBy(o *unstructured.Unstructured, match func(metav1.ManagedFieldsEntry) bool) Owned {
	var all Owned
	for _, m := range o.GetManagedFields() {
		if m.FieldsV1 == nil {
			continue
		}
		var set fieldpath.Set
		if set.FromJSON(m.FieldsV1.GetRawReader()) == nil {
			all = append(all, owned{m.Manager, match(m), &set})
		}
	}
	return all
}

// Has reports whether one of them manages the field at a path of Flatten, or a field
// that contains it.
func (all Owned) Has(path string) bool { return len(all.Managers(path)) > 0 }

// Managers returns who manages the field at a path of Flatten, or a field that contains
// it, sorted. Who made a map and has no field in it any more is recorded like one who has
// it as a whole: where somebody manages the field itself, others do not by the map.
func (all Owned) Managers(path string) []string {
	var itself, around []string
	managed := false
	for _, one := range all {
		exact, contains := false, false
		one.set.Leaves().Iterate(func(p fieldpath.Path) {
			at := leafPath(p)
			exact = exact || at == path
			contains = contains || strings.HasPrefix(path, at+"/") || strings.HasPrefix(path, at+"[")
		})
		managed = managed || exact
		switch {
		case !one.asked:
		case exact:
			itself = append(itself, one.manager)
		case contains:
			around = append(around, one.manager)
		}
	}
	names := around
	if managed {
		names = itself
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ManagersOf returns who manages fields that differ, which are by paths of Flatten, sorted.
func (all Owned) ManagersOf(sides ...map[string]any) []string {
	var names []string
	for _, side := range sides {
		for path := range side {
			names = append(names, all.Managers(path)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// SetBy is the remark on a difference that managers made, "set by ops", or "" for none.
func SetBy(managers []string) string {
	if len(managers) == 0 {
		return ""
	}
	return "set by " + strings.Join(managers, " and ")
}

// leafPath writes a path as Flatten does; elements of lists that have no name are
// written so that they match nothing.
func leafPath(p fieldpath.Path) string {
	var b strings.Builder
	for _, e := range p {
		switch {
		case e.FieldName != nil:
			if b.Len() > 0 {
				b.WriteByte('/')
			}
			b.WriteString(*e.FieldName)
		case e.Key != nil:
			name := "?"
			for _, f := range *e.Key {
				if f.Name == "name" && f.Value.IsString() {
					name = f.Value.AsString()
				}
			}
			b.WriteString("[" + name + "]")
		default:
			b.WriteString("[?]")
		}
	}
	return b.String()
}
