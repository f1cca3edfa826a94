package vars_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
	"github.com/ztplan/ztplan/engine/plan/vars"
)

// A document is the variables of a file, with what was collected of it.
type document struct {
	*vars.Set
	*source.Collector
	file *source.File
}

// Resolve makes variables the only values that references have.
func (d *document) resolve(_ *yaml.Node, ref *syntax.Reference) (spec.Value, *spec.Fault) {
	return d.Value(ref)
}

type scope func(*yaml.Node, *syntax.Reference) (spec.Value, *spec.Fault)

func (s scope) Resolve(n *yaml.Node, ref *syntax.Reference) (spec.Value, *spec.Fault) {
	return s(n, ref)
}

// declare reads declarations; fragment says whose.
func declare(t *testing.T, text string, fragment bool) *document {
	t.Helper()
	d := &document{file: source.NewFile("plan.yaml", []byte(text))}
	d.Collector = source.NewCollector(nil, d.file, t.TempDir(), nil)
	d.Set = vars.New(d.file, d.Collector, func(subject string, report func(*source.Problem)) *spec.Decoder {
		return &spec.Decoder{Types: new(spec.Types), Document: spec.Document{File: d.file}, Scope: scope(d.resolve), Subject: subject, Report: report}
	})
	if fragment {
		d.ForFragment()
	}
	d.Declare(source.Parse(d.file, "a plan", d.Collector.Add))
	return d
}

// problems returns the problems, each as its place, summary and hint.
func (d *document) problems() []string {
	var all *source.Problems
	if !errors.As(d.Err(), &all) {
		return nil
	}
	var out []string
	for _, p := range all.List() {
		out = append(out, strings.TrimSuffix(p.Error()+" | "+p.Hint, " | "))
	}
	return out
}

// value returns a variable, or a part of it: vars.NAME.
func (d *document) value(path string) (spec.Value, *spec.Fault) {
	return d.Value(&syntax.Reference{Raw: "${vars." + path + "}", Root: "vars", Path: keypath.Parse(path)})
}

// write writes a file of variables.
func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "vars.yaml")
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestDeclare: what is wrong with declarations, and what is none.
func TestDeclare(t *testing.T) {
	for text, want := range map[string][]string{
		"":        nil,
		"~":       nil,
		"[a, b]":  {`plan.yaml:1:1: vars: want a mapping, have a list | write vars: {name: value}`},
		"a":       {`plan.yaml:1:1: vars: want a mapping, have the text "a" | write vars: {name: value}`},
		"{9a: 1}": {`plan.yaml:1:2: vars: "9a" is not a name for a variable | use letters, digits, _ and -, beginning with a letter`},

		"{a: {default: x, defaults: y, color: z}}": {
			`plan.yaml:1:18: vars.a: unknown key "defaults" | did you mean "default"?`,
			`plan.yaml:1:31: vars.a: unknown key "color" | a mapping with any of default, description, env, required, secret and type declares a variable; write a value that is such a mapping below default`,
		},
		"{a: {default: x, description: 1}}":                               {`plan.yaml:1:31: vars.a.description: want text, have the number 1 | write it in quotes: "1"`},
		"{a: {default: x, secret: no way}}":                               {`plan.yaml:1:26: vars.a.secret: want true or false, have the text "no way"`},
		"{a: {secret: no way}}":                                           {`plan.yaml:1:14: vars.a.secret: want true or false, have the text "no way"`}, // and not that it has no value
		"{a: {default: x, env: [B]}}":                                     {`plan.yaml:1:23: vars.a.env: want text, have a list`},
		"{a: {default: x, type: 1}}":                                      {`plan.yaml:1:24: vars.a.type: want text, have the number 1 | write it in quotes: "1"`},
		"{a: {default: 1, type: text}}":                                   {`plan.yaml:1:24: vars.a.type: "text" is not one of string, number, bool, list, map`},
		"{a: {default: ~}}":                                               {`plan.yaml:1:2: variable "a" has no value | give it with --var a=…, or in a file with --var-file`},
		"{a: {required: true, default: ~}}":                               {`plan.yaml:1:2: variable "a" has no value | give it with --var a=…, or in a file with --var-file`},
		"{a: {required: false, default: 1}}":                              nil,
		"{a: [type, number], b: {c: type}, c: {default: {type: number}}}": nil, // values
		"{a: {secret: true, env: B}}":                                     {`plan.yaml:1:2: variable "a" has no value | set B, or put it into a file that only you can read and give that with --var-file`},
		"{a: {default: 1, typ: x}, b: \"${vars.a}\"}":                     {`plan.yaml:1:18: vars.a: unknown key "typ" | did you mean "type"?`}, // and nothing of b
	} {
		d := declare(t, text, false)
		d.Resolve()
		if diff := cmp.Diff(want, d.problems()); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
	d := declare(t, "{z: 1, 9a: 2, b: {type: nonsense}, a: {type: list, secret: true}}", false)
	if diff := cmp.Diff([]string{"z", "b", "a"}, d.Names()); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{"z": " false true", "b": " false true", "a": "list true true", "9a": " false false", "none": " false false"} {
		typ, secret, ok := d.Declared(name)
		if got := fmt.Sprint(typ, " ", secret, " ", ok); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestCircle: a circle holds the variables that are in it, and no others that were resolved
// on the way.
func TestCircle(t *testing.T) {
	d := declare(t, `{in: "${vars.a}", a: "${vars.x}${vars.b}", x: "${vars.y}", y: 1, b: "${vars.x}${vars.a}"}`, false)
	d.Resolve()
	want := []string{"plan.yaml:1:79: vars.b: variables refer to each other in a circle: a -> b -> a"}
	if diff := cmp.Diff(want, d.problems()); diff != "" {
		t.Error(diff)
	}
}

// TestUnknownVariable: the hint names what there is.
func TestUnknownVariable(t *testing.T) {
	for text, want := range map[string]string{
		"{}":               "declare it: vars: {other: value}",
		"{b: 1, a: 2}":     "the variables are a and b",
		"{othar: 1, a: 2}": `did you mean "othar"?`,
	} {
		_, fault := declare(t, text, false).value("other")
		if fault == nil || fault.Message != `${vars.other}: there is no variable "other"` || fault.Hint != want {
			t.Errorf("%s: got %+v", text, fault)
		}
	}
}

// TestSealed: a sealed set has its values, and does not change by use.
func TestSealed(t *testing.T) {
	d := declare(t, "{a: 1, b: 2, c: 3, d: \"${vars.c}\", e: 5, f: 6}", false)
	d.Set.Resolve()
	if _, fault := d.value("a"); fault != nil {
		t.Fatal(fault)
	}
	d.Use("f")
	d.Seal()
	d.Use("b")
	if v, fault := d.value("e"); fault != nil || v.Node.Value != "5" {
		t.Errorf("got %+v, %v", v, fault)
	}
	unused := d.Unused()
	if diff := cmp.Diff([]string{"b", "d", "e"}, slices.Sorted(maps.Keys(unused))); diff != "" {
		t.Error(diff)
	}
	if at := unused["b"]; at != (source.Position{File: "plan.yaml", Line: 1, Column: 8}) {
		t.Errorf("b is declared at %v", at)
	}
}
