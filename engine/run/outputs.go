package run

import (
	"iter"
	"reflect"
	"strings"
)

// fieldsOf yields the fields of an outputs struct under their plan names.
// Fields whose value is empty are left out.
func fieldsOf(outputs any) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		v := reflect.ValueOf(outputs)
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return
			}
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if !f.IsExported() || name == "" || name == "-" || v.Field(i).IsZero() {
				continue
			}
			if !yield(name, v.Field(i).Interface()) {
				return
			}
		}
	}
}
