package plan

import (
	"reflect"

	"github.com/ztplan/ztplan/engine"
)

// file resolves a path that the plan names. An empty name is no file.
func (p *Plan) file(name string) engine.File { return p.Inputs.File(p.Dir, name) }

// resolveFiles completes files that a kind's defaults name.
func (p *Plan) resolveFiles(v reflect.Value) {
	if !p.types.hasFile(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			p.resolveFiles(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			p.resolveFiles(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == fileType {
			if f := v.Interface().(engine.File); f.Name != "" && f.Path == "" {
				v.Set(reflect.ValueOf(p.file(f.Name)))
			}
			return
		}
		for _, f := range p.types.of(v.Type()).fields {
			p.resolveFiles(v.FieldByIndex(f.index))
		}
	}
}
