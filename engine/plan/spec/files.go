package spec

import (
	"reflect"

	"github.com/ztplan/ztplan/engine"
)

// resolveFiles resolves the files that the defaults of a spec name.
func (d *Decoder) resolveFiles(v reflect.Value) {
	if !d.Types.holds(v.Type(), fileType) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			d.resolveFiles(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			d.resolveFiles(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == fileType {
			if f := v.Interface().(engine.File); f.Name != "" && f.Path == "" {
				v.Set(reflect.ValueOf(d.FileOf(f.Name)))
			}
			return
		}
		for _, f := range d.Types.Of(v.Type()).fields {
			d.resolveFiles(v.FieldByIndex(f.index))
		}
	}
}
