package evidence_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/steps/evidence"
)

var update = flag.Bool("update", false, "write the schema")

// schemas/evidence.schema.json is what the types and their comments say.
func TestSchema(t *testing.T) {
	docs := make(map[string]string)
	for _, file := range []string{"document.go", "subject.go", "records.go", "denials.go", "rollovers.go", "../../engine/event.go"} {
		comments(t, file, docs)
	}
	g := schemaMaker{docs: docs, defs: map[string]any{}}
	schema := g.object(reflect.TypeFor[evidence.Document]())
	schema["properties"].(map[string]any)["schema"] = map[string]any{"const": evidence.Schema}
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["$id"] = "https://ztplan.dev/schemas/evidence.schema.json"
	schema["title"] = "Evidence of a ztplan run"
	schema["$defs"] = g.defs
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(schema); err != nil {
		t.Fatal(err)
	}
	const file = "../../schemas/evidence.schema.json"
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("go test ./steps/evidence -update writes the schema (-file +types):\n%s", diff)
	}
}

// comments notes the comment of every type ("Step") and field ("Step.ID").
func comments(t *testing.T, file string, docs map[string]string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	one := func(groups ...*ast.CommentGroup) string {
		var parts []string
		for _, g := range groups {
			if text := strings.Join(strings.Fields(g.Text()), " "); text != "" {
				parts = append(parts, text)
			}
		}
		return strings.Join(parts, " ")
	}
	for _, d := range f.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE {
			continue
		}
		for _, s := range gen.Specs {
			spec := s.(*ast.TypeSpec)
			docs[spec.Name.Name] = one(gen.Doc, spec.Doc)
			st, ok := spec.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, field := range st.Fields.List {
				for _, n := range field.Names {
					docs[spec.Name.Name+"."+n.Name] = one(field.Doc, field.Comment)
				}
			}
		}
	}
}

type schemaMaker struct {
	docs map[string]string
	defs map[string]any
}

func (g schemaMaker) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	g.fields(t, properties, &required)
	slices.Sort(required)
	out := map[string]any{"type": "object", "additionalProperties": false, "properties": properties, "required": required}
	if doc := g.docs[t.Name()]; doc != "" {
		out["description"] = doc
	}
	return out
}

// fields adds the fields of t; one that is there already hides an embedded one.
func (g schemaMaker) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if properties[name] != nil {
			continue
		}
		s := maps.Clone(g.value(f.Type))
		if doc := g.docs[t.Name()+"."+f.Name]; doc != "" {
			s["description"] = doc
		}
		properties[name] = s
		if options == "" {
			*required = append(*required, name)
		}
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous {
			g.fields(f.Type, properties, required)
		}
	}
}

func (g schemaMaker) value(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Pointer:
		return g.value(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": g.value(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": g.value(t.Elem())}
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return map[string]any{"type": "string", "format": "date-time"}
		}
		if g.defs[t.Name()] == nil {
			g.defs[t.Name()] = map[string]any{} // a type may hold itself
			g.defs[t.Name()] = g.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + t.Name()}
	}
	return map[string]any{} // any
}
