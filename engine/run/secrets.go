package run

import (
	"reflect"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

var secretType = reflect.TypeFor[engine.Secret]()

// longestFirst orders the texts so that a secret containing another one is
// replaced whole.
func longestFirst(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for s := range set {
		if s != "" {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return out
}

// holdsSecrets reports whether a value of type t can hold a Secret.
func holdsSecrets(t reflect.Type, seen map[reflect.Type]bool) bool {
	if t == secretType {
		return true
	}
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return holdsSecrets(t.Elem(), seen)
	case reflect.Struct:
		if seen[t] {
			return false
		}
		if seen == nil {
			seen = make(map[reflect.Type]bool)
		}
		seen[t] = true
		for i := range t.NumField() {
			if t.Field(i).IsExported() && holdsSecrets(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
