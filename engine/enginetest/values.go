package enginetest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

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
	case reflect.Interface, reflect.Pointer:
		if v.Kind() == reflect.Pointer {
			return fmt.Errorf("%v is not plain data", v.Type())
		}
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
	case reflect.Struct, reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128:
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

// reveal returns v for comparing, with secrets as their texts: two secrets are
// equal when their texts are.
func reveal(v any) any { return revealValue(reflect.ValueOf(v)) }

func revealValue(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	if v.Type() == secretType && v.CanInterface() {
		return "secret:" + v.Interface().(engine.Secret).Reveal()
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return revealValue(v.Elem())
	case reflect.Struct:
		m := make(map[string]any)
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				m[f.Name] = revealValue(v.Field(i))
			}
		}
		return m
	case reflect.Map:
		m := make(map[string]any)
		for _, key := range v.MapKeys() {
			m[fmt.Sprint(key.Interface())] = revealValue(v.MapIndex(key))
		}
		return m
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = revealValue(v.Index(i))
		}
		return list
	}
	return v.Interface()
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

// difference says where two lists of edits differ in what they say, or "".
func difference(a, b []engine.Edit) string {
	if !slices.Equal(paths(a), paths(b)) {
		return fmt.Sprintf("%v, then %v", paths(a), paths(b))
	}
	for i := range a {
		if !reflect.DeepEqual(reveal(a[i].Have), reveal(b[i].Have)) || !reflect.DeepEqual(reveal(a[i].Want), reveal(b[i].Want)) {
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

// describe tells edits as a run would: path, have, want.
func describe(edits []engine.Edit) string {
	lines := make([]string, len(edits))
	for i, e := range edits {
		lines[i] = fmt.Sprintf("%s: have %v, want %v", e.Path, e.Have, e.Want)
	}
	return strings.Join(lines, "; ")
}
