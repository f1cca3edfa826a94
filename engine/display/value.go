package display

import (
	"reflect"

	"github.com/ztplan/ztplan/engine"
)

// Event returns e with every text in it made safe.
func Event(e engine.Event) engine.Event { return Copy(e) }

// Copy returns a deep copy of v in which every text is made safe: in exported
// fields, lists, maps with their keys, and behind pointers and interfaces. The
// original is not changed. It is for plain data without cycles.
func Copy[T any](v T) T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	out.Set(reflect.ValueOf(&v).Elem())
	clean(out)
	return out.Interface().(T)
}

// clean replaces the texts in v, which can be set, and gives it lists, maps and
// pointers of its own.
func clean(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); !harmless(s) {
			v.SetString(Text(s))
		}
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		inner := reflect.New(v.Elem().Type())
		inner.Elem().Set(v.Elem())
		clean(inner.Elem())
		if v.Kind() == reflect.Pointer {
			v.Set(inner)
		} else {
			v.Set(inner.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				clean(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(out, v)
		for i := range out.Len() {
			clean(out.Index(i))
		}
		v.Set(out)
	case reflect.Array:
		for i := range v.Len() {
			clean(v.Index(i))
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		out := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			key.Set(it.Key())
			value.Set(it.Value())
			clean(key)
			clean(value)
			out.SetMapIndex(key, value)
		}
		v.Set(out)
	}
}
