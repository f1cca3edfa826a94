package engine

import (
	"iter"
	"reflect"
)

// walk calls visit for v and the values inside it: exported fields, elements but
// those of basic types, values of maps, and the values behind pointers and interfaces. field is the
// innermost struct field that holds the value. Where visit returns false, walk
// does not go into the value.
func walk(v reflect.Value, field reflect.StructField, visit func(reflect.Value, reflect.StructField) bool) {
	if !v.IsValid() || !visit(v, field) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		walk(v.Elem(), field, visit)
	case reflect.Slice, reflect.Array:
		if basic := v.Type().Elem().Kind(); basic <= reflect.Complex128 || basic == reflect.String {
			return // bytes, names
		}
		for i := range v.Len() {
			walk(v.Index(i), field, visit)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			walk(it.Value(), field, visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				walk(v.Field(i), f, visit)
			}
		}
	}
}

var (
	secretType = reflect.TypeFor[Secret]()
	fileType   = reflect.TypeFor[File]()
)

// Secrets returns the secrets inside v: those in exported fields, lists, maps and
// behind pointers.
func Secrets(v any) iter.Seq[Secret] {
	return func(yield func(Secret) bool) {
		more := true
		walk(reflect.ValueOf(v), reflect.StructField{}, func(v reflect.Value, _ reflect.StructField) bool {
			if more && v.Type() == secretType {
				more = yield(v.Interface().(Secret))
				return false
			}
			return more
		})
	}
}
