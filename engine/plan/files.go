package plan

import (
	"os"
	"path/filepath"
	"reflect"

	"github.com/ztplan/ztplan/engine"
)

func siblings(path string) []string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

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
