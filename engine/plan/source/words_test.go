package source_test

import (
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// value parses a text that is one value.
func value(t *testing.T, text string) *yaml.Node {
	t.Helper()
	_, n := source.Lookup(source.Parse(source.NewFile("p.yaml", []byte("v: "+text+"\n")), "a plan", func(p *source.Problem) { t.Fatal(p) }), "v")
	return n
}

// TestDescribe: the words for a value, and what it may stand for.
func TestDescribe(t *testing.T) {
	const long = "0123456789012345678901234567890123456789"
	for _, tt := range []struct {
		text, describe, kind, typ string
		isText, truth             bool
	}{
		{"x", `the text "x"`, "text", "string", true, false},
		{"'5'", `the text "5"`, "text", "string", true, false},
		{"é" + long[1:], `the text "é` + long[1:] + `"`, "text", "string", true, false},
		{"é" + long, `the text "é` + long[:39] + `…"`, "text", "string", true, false},
		{"5", "the number 5", "a number", "number", false, false},
		{"1.5", "the number 1.5", "a number", "number", false, false},
		{"0400", "the number 0400 (256, as YAML 1.1 reads it)", "a number", "number", false, false},
		{"true", "true", "true or false", "bool", false, true},
		{"False", "False", "true or false", "bool", false, false},
		{"yes", "yes (true, as YAML 1.1 reads it)", "true or false", "bool", true, true},
		{"no", "no (false, as YAML 1.1 reads it)", "true or false", "bool", true, false},
		{"!!bool 'on'", "on (true, as YAML 1.1 reads it)", "true or false", "bool", false, true},
		{"~", "nothing", "nothing", "", false, false},
		{"", "nothing", "nothing", "", false, false},
		{"[a]", "a list", "a list", "list", false, false},
		{"{a: b}", "a mapping", "a mapping", "map", false, false},
	} {
		n := value(t, tt.text)
		got := fmt.Sprint(source.Describe(n), ", ", source.KindOf(n), ", ", source.TypeOf(n), ", ", n.Kind == yaml.ScalarNode && source.IsText(n), ", ", source.Truth(n))
		want := fmt.Sprint(tt.describe, ", ", tt.kind, ", ", tt.typ, ", ", tt.isText, ", ", tt.truth)
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", tt.text, got, want)
		}
	}
	if !source.IsNull(nil) || !source.IsNull(&yaml.Node{}) {
		t.Error("nothing is something")
	}
}

// TestAsType: a word is text where text is declared, and only there.
func TestAsType(t *testing.T) {
	for _, tt := range []struct{ text, typ, want string }{
		{"no", "string", "!!str"},
		{"no", "bool", "!!bool"},
		{"no", "", "!!bool"},
		{"true", "string", "!!bool"},
		{"5", "string", "!!int"},
		{"x", "string", "!!str"},
		{"[no]", "string", "!!seq"},
	} {
		n := value(t, tt.text)
		tag := n.Tag
		if got := source.AsType(n, tt.typ); got.Tag != tt.want || n.Tag != tag || got.Value != n.Value {
			t.Errorf("%s as %q: %s, want %s; the node itself is %s", tt.text, tt.typ, got.Tag, tt.want, n.Tag)
		}
	}
}

// TestReporter: scalars that must be text, or true or false, and what is said about others.
func TestReporter(t *testing.T) {
	for _, tt := range []struct{ text, asText, asTruth string }{
		{"x", "x", `1:4: v: want true or false, have the text "x"`},
		{"no", "no", "false"},
		{"true", "1:4: v: want text, have true (write it in quotes: \"true\")", "true"},
		{"5", "1:4: v: want text, have the number 5 (write it in quotes: \"5\")", "1:4: v: want true or false, have the number 5"},
		{"~", "1:4: v: want text, have nothing", "1:4: v: want true or false, have nothing"},
		{"[a]", "1:4: v: want text, have a list", "1:4: v: want true or false, have a list"},
		{"{a: b}", "1:4: v: want text, have a mapping", "1:4: v: want true or false, have a mapping"},
	} {
		var problems []string
		r := source.Reporter{File: source.NewFile("", nil), Add: func(p *source.Problem) {
			text := fmt.Sprintf("%d:%d: %s", p.Line, p.Column, p.Summary)
			if p.Hint != "" {
				text += " (" + p.Hint + ")"
			}
			problems = append(problems, text)
		}}
		got := func(value string) string {
			defer func() { problems = nil }()
			if len(problems) > 0 {
				if value != "" && value != "false" {
					t.Errorf("%s: a value %s in spite of problems", tt.text, value)
				}
				return strings.Join(problems, "; ")
			}
			return value
		}
		n := value(t, tt.text)
		if got := got(r.Text(n, "v")); got != tt.asText {
			t.Errorf("%s: got %s, want %s", tt.text, got, tt.asText)
		}
		if got := got(fmt.Sprint(r.Truth(n, "v"))); got != tt.asTruth {
			t.Errorf("%s: got %s, want %s", tt.text, got, tt.asTruth)
		}
	}
}
