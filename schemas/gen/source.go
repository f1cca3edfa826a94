package main

import (
	"cmp"
	"encoding"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/document"
	"github.com/ztplan/ztplan/schemas"
)

const module = "github.com/ztplan/ztplan/"

// source reads comments from the source tree.
type source struct {
	root     string
	packages map[string]*packageDoc
	problems []error // texts that a reader of the reference cannot know
}

type packageDoc struct {
	doc       string
	structs   map[string]map[string]string // struct, field: comment
	types     map[string]string            // type: comment
	constants map[string][]any             // type: its constants, each as a schema
}

func (s *source) load(path string) (*packageDoc, error) {
	if p, ok := s.packages[path]; ok {
		return p, nil
	}
	dir := filepath.Join(s.root, strings.TrimPrefix(path, module))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	p := &packageDoc{structs: make(map[string]map[string]string), types: make(map[string]string), constants: make(map[string][]any)}
	fset := token.NewFileSet()
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, f, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		if file.Doc != nil && p.doc == "" {
			p.doc = file.Doc.Text()
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range g.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					p.types[spec.Name.Name] = cmp.Or(spec.Doc.Text(), g.Doc.Text())
					if st, ok := spec.Type.(*ast.StructType); ok {
						p.structs[spec.Name.Name] = fieldComments(st)
					}
				case *ast.ValueSpec:
					p.constant(spec)
				}
			}
		}
	}
	s.packages[path] = p
	return p, nil
}

// constant adds a constant with a type and the value of a text.
func (p *packageDoc) constant(spec *ast.ValueSpec) {
	typ, ok := spec.Type.(*ast.Ident)
	if !ok || len(spec.Values) == 0 {
		return
	}
	if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
		if text, err := strconv.Unquote(lit.Value); err == nil {
			p.constants[typ.Name] = append(p.constants[typ.Name], object{"const": text, "description": oneLine(spec.Comment.Text())})
		}
	}
}

func fieldComments(st *ast.StructType) map[string]string {
	out := make(map[string]string)
	for _, f := range st.Fields.List {
		for _, n := range f.Names {
			out[n.Name] = cmp.Or(f.Comment.Text(), f.Doc.Text())
		}
	}
	return out
}

func (s *source) kind(k *engine.Kind) (schemas.Kind, error) {
	p, err := s.load(k.Spec.PkgPath())
	if err != nil {
		return schemas.Kind{}, err
	}
	if p.doc == "" {
		return schemas.Kind{}, fmt.Errorf("package %s has no doc", k.Spec.PkgPath())
	}
	example, err := os.ReadFile(filepath.Join(s.root, strings.TrimPrefix(k.Spec.PkgPath(), module), "example.yaml"))
	if err != nil {
		return schemas.Kind{}, err
	}
	out := schemas.Kind{
		Name: k.Name, Doc: k.Name + strings.TrimPrefix(plainDoc(p.doc), "Package "+strings.ToLower(k.Name)), Proof: k.Proof, Example: string(example),
		Policy: schemas.Policy{
			Timeout: engine.Duration(k.Policy.Timeout).String(), Attempts: k.Policy.Attempts,
			Delay: engine.Duration(k.Policy.Delay).String(), Backoff: k.Policy.Backoff,
			MaxDelay: engine.Duration(k.Policy.MaxDelay).String(), Jitter: k.Policy.Jitter,
		},
	}
	s.readable(out.Doc, "the doc of package %s", k.Spec.PkgPath())
	if out.Inputs, err = s.fields(k.Spec, reflect.ValueOf(k.New()).Elem()); err != nil {
		return schemas.Kind{}, err
	}
	out.Outputs, err = s.fields(k.Outputs, reflect.Value{})
	return out, err
}

// fields describes the fields of a struct; defaults come from v if it is valid.
func (s *source) fields(t reflect.Type, v reflect.Value) ([]schemas.Field, error) {
	p, err := s.load(t.PkgPath())
	if err != nil {
		return nil, err
	}
	var out []schemas.Field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		var fv reflect.Value
		if v.IsValid() {
			fv = v.Field(i)
		}
		if name == "" && (f.Anonymous || strings.Contains(options, "inline")) {
			ft := f.Type
			if ft.Kind() == reflect.Pointer {
				ft, fv = ft.Elem(), reflect.Value{}
			}
			inner, err := s.fields(ft, fv)
			if err != nil {
				return nil, err
			}
			out = append(out, inner...)
			continue
		}
		text := strings.TrimSpace(p.structs[t.Name()][f.Name])
		if text == "" {
			return nil, fmt.Errorf("%s.%s has no comment", t, f.Name)
		}
		field := schemas.Field{Name: name, Doc: withKey(plainDoc(text), f.Name, name)}
		s.readable(field.Doc, "the comment of %s.%s", t, f.Name)
		for _, rule := range strings.Split(f.Tag.Get("check"), ",") {
			key, value, _ := strings.Cut(rule, "=")
			switch key {
			case "required":
				field.Required = true
			case "oneof":
				field.OneOf = strings.Split(value, "|")
			case "min":
				field.Min = value
			case "max":
				field.Max = value
			}
		}
		if err := s.describe(&field, f.Type, fv); err != nil {
			return nil, err
		}
		out = append(out, field)
	}
	return out, nil
}

func (s *source) describe(field *schemas.Field, t reflect.Type, v reflect.Value) error {
	if t.Kind() == reflect.Pointer {
		if v.IsValid() && v.IsNil() {
			v = reflect.Value{}
		} else if v.IsValid() {
			v = v.Elem()
		}
		t = t.Elem()
	}
	name, inner := typeName(t)
	field.Type = name
	if v.IsValid() && !v.IsZero() && inner == nil {
		field.Default, field.Required = plainDefault(v), false
	}
	if inner == nil {
		return nil
	}
	if inner != t {
		v = reflect.Value{}
	}
	var err error
	field.Fields, err = s.fields(inner, v)
	return err
}

// typeName names a type in a plan's words; inner is the struct whose fields
// are to be described, if there is one.
func typeName(t reflect.Type) (name string, inner reflect.Type) {
	switch t {
	case reflect.TypeFor[engine.Duration](), reflect.TypeFor[time.Duration]():
		return "duration", nil
	case reflect.TypeFor[engine.Secret]():
		return "secret", nil
	case reflect.TypeFor[engine.File]():
		return "file", nil
	case reflect.TypeFor[fleet.Limit]():
		return "number or percentage", nil
	case reflect.TypeFor[document.Expression]():
		return "condition", nil
	case reflect.TypeFor[document.Collection]():
		return "list or map", nil
	case reflect.TypeFor[document.OneOrMore]():
		return "string or list of string", nil
	}
	if t.Kind() == reflect.Pointer {
		return typeName(t.Elem())
	}
	if t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "object", t
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean", nil
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint32, reflect.Uint64:
		return "integer", nil
	case reflect.Float64, reflect.Float32:
		return "number", nil
	case reflect.Slice:
		name, inner = typeName(t.Elem())
		return "list of " + name, inner
	case reflect.Map:
		name, inner = typeName(t.Elem())
		return "map of " + name, inner
	case reflect.Interface:
		return "any", nil
	}
	return "string", nil
}

func plainDefault(v reflect.Value) any {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		if b, err := m.MarshalText(); err == nil {
			return string(b)
		}
	}
	return v.Interface()
}

// plainDoc turns a Go comment into plain text without doc links.
func plainDoc(text string) string {
	var p comment.Parser
	pr := &comment.Printer{TextWidth: -1}
	return strings.TrimSpace(string(pr.Text(p.Parse(text))))
}
