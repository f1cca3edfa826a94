package enginetest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ztplan/ztplan/engine"
)

var secretType = reflect.TypeFor[engine.Secret]()

// plain reports values that are not plain data: they could not be shown,
// compared and recorded.
func plain(v reflect.Value) error {
	if !v.IsValid() || v.Type() == secretType {
		return nil
	}
	switch v.Kind() {
	case reflect.Interface:
		return plain(v.Elem())
	case reflect.Map:
		if v.Type().Key().Kind() != reflect.String {
			return fmt.Errorf("%v is not plain data: its keys are no strings", v.Type())
		}
		for _, key := range v.MapKeys() {
			if err := plain(v.MapIndex(key)); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return nil
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if err := plain(v.Index(i)); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return nil
	case reflect.Pointer, reflect.Struct, reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
		return fmt.Errorf("%v is not plain data", v.Type())
	}
	return nil
}

// secretsIn returns the texts of all secrets inside v.
func secretsIn(v any) []string {
	var found []string
	for s := range engine.Secrets(v) {
		found = append(found, s.Reveal())
	}
	return found
}

// equal compares plain data and outputs. Secrets are equal when their texts are, and
// an empty list or map equals none.
func equal(a, b any) bool {
	return cmp.Equal(a, b, cmpopts.EquateEmpty(), cmp.Exporter(func(reflect.Type) bool { return true }))
}

// nothing reports whether an output is empty.
func nothing(v reflect.Value) bool {
	if v.Type() == secretType {
		return v.Interface().(engine.Secret).IsZero()
	}
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
		return v.Len() == 0
	}
	return v.IsZero()
}

// difference returns the first difference between two lists of edits, or "".
func difference(a, b []engine.Edit) string {
	if !slices.Equal(paths(a), paths(b)) {
		return fmt.Sprintf("%v, then %v", paths(a), paths(b))
	}
	for i := range a {
		if !equal(a[i].Have, b[i].Have) || !equal(a[i].Want, b[i].Want) {
			return fmt.Sprintf("%s: %v → %v, then %v → %v", a[i].Path, a[i].Have, a[i].Want, b[i].Have, b[i].Want)
		}
	}
	return ""
}

func paths(edits []engine.Edit) []string {
	list := make([]string, len(edits))
	for i, e := range edits {
		list[i] = e.Path
	}
	return list
}

// describe lists edits with path, have and want.
func describe(edits []engine.Edit) string {
	lines := make([]string, len(edits))
	for i, e := range edits {
		lines[i] = fmt.Sprintf("%s: have %v, want %v", e.Path, e.Have, e.Want)
	}
	return strings.Join(lines, "; ")
}
