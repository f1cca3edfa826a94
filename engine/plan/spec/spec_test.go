package spec_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// values are the values of references, by their text without ${ and }.
type values map[string]spec.Value

func (v values) Resolve(_ *yaml.Node, ref *syntax.Reference) (spec.Value, *spec.Fault) {
	value, ok := v[ref.Raw[2:len(ref.Raw)-1]]
	if !ok {
		return spec.Value{}, &spec.Fault{Message: ref.Raw + ": unknown", Hint: "know it"}
	}
	return value, nil
}

// node parses one YAML value.
func node(t testing.TB, text string) (*yaml.Node, *source.File) {
	t.Helper()
	f := source.NewFile("p.yaml", []byte(text))
	return source.Parse(f, "a value", func(p *source.Problem) { t.Fatalf("%q: %v", text, p) }), f
}

// variable is the value of a variable with this YAML.
func variable(t testing.TB, text string) spec.Value {
	n, _ := node(t, text)
	return spec.Value{Node: n}
}

// secretly marks a value as secret.
func secretly(v spec.Value) spec.Value {
	v.Secret = true
	return v
}

// output is an output that is known.
func output(x any) spec.Value {
	v := reflect.ValueOf(x)
	return spec.Value{Output: v, Secret: new(spec.Types).HasSecret(v.Type())}
}

// later is an output of step a, of the same type, that is not known yet.
func later(x any) spec.Value {
	t := reflect.TypeOf(x)
	return spec.Value{Type: t, From: "a", Secret: new(spec.Types).HasSecret(t)}
}

// decoder returns a decoder for a text of YAML, and its problems: "line:column: summary (hint)".
func decoder(t testing.TB, text string, scope spec.Scope) (*spec.Decoder, *yaml.Node, *[]string) {
	t.Helper()
	n, f := node(t, text)
	problems := new([]string)
	return &spec.Decoder{
		Types: new(spec.Types), Scope: scope,
		Document: spec.Document{File: f, FileOf: func(name string) engine.File { return engine.File{Name: name, Path: filepath.Join("/plans", name)} }},
		Report: func(p *source.Problem) {
			s := fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Summary)
			if p.Hint != "" {
				s += " (" + p.Hint + ")"
			}
			*problems = append(*problems, s)
		},
	}, n, problems
}

// decode fills a new value of the type of like from YAML and shows it, or its problems.
func decode(t testing.TB, text string, like any, scope spec.Scope) string {
	t.Helper()
	d, n, problems := decoder(t, text, scope)
	into := reflect.New(reflect.TypeOf(like))
	d.Decode(n, nil, into.Interface())
	switch {
	case len(*problems) > 0:
		return strings.Join(*problems, "; ")
	case len(d.Pending()) > 0:
		return "pending"
	}
	return show(into.Elem().Interface())
}

// show writes a value with its type; secrets are revealed.
func show(x any) string {
	switch x := x.(type) {
	case engine.Secret:
		return "secret " + x.Reveal()
	case *engine.Secret:
		return "secret " + x.Reveal()
	case engine.File:
		return "file " + x.Path
	case engine.Duration:
		return x.String()
	case []engine.Secret:
		var all []string
		for _, s := range x {
			all = append(all, show(s))
		}
		return strings.Join(all, ", ")
	}
	if v := reflect.ValueOf(x); v.Kind() == reflect.Pointer && !v.IsNil() {
		return "*" + show(v.Elem().Interface())
	}
	return fmt.Sprintf("%#v", x)
}
