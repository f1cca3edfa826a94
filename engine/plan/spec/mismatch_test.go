package spec_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// A mark is a text of a form of its own.
type mark struct{ text string }

func (m *mark) UnmarshalText(b []byte) error {
	if len(b) > 3 {
		return fmt.Errorf("a mark has 3 letters")
	}
	m.text = string(b)
	return nil
}

// TestMismatches: the hint says how a value of the type is written, as far as the value that
// stands there tells.
func TestMismatches(t *testing.T) {
	type service struct {
		Namespace string `yaml:"namespace"`
		Name      string `yaml:"name"`
	}
	type named struct {
		Name string `yaml:"name"`
		Kind string `yaml:"kind"`
	}
	type spaced struct {
		Namespace string `yaml:"namespace"`
		Label     string `yaml:"label"`
	}
	type port struct {
		Wait   engine.Duration `yaml:"wait"`
		Host   string          `yaml:"host" check:"required"`
		Port   *uint16         `yaml:"port"`
		Scheme string          `yaml:"scheme" check:"required"`
	}
	const numbers = "1:1: want a whole number, have "
	for _, tt := range []struct {
		text string
		like any
		want string
	}{
		// Numbers in quotes.
		{`"7"`, uint(0), numbers + `the text "7" (write 7, without quotes)`},
		{`"1.5"`, 0.0, `1:1: want a number, have the text "1.5" (write 1.5, without quotes)`},
		{`"x"`, uint(0), numbers + `the text "x"`},
		{`true`, 0, numbers + `true`},
		// One value, in a list.
		{`[7]`, 0, numbers + `a list (write one value, without the list: 7)`},
		{`[true]`, false, `1:1: want true or false, have a list (write one value, without the list: true)`},
		{`[a.pem]`, engine.File{}, `1:1: want a file name, have a list (write one value, without the list: a.pem)`},
		{`[abc]`, mark{}, `1:1: want text, have a list (write one value, without the list: abc)`},
		{`[a, b]`, "", `1:1: want text, have a list`},
		{`[]`, "", `1:1: want text, have a list`},
		{`[[a]]`, "", `1:1: want text, have a list`},
		{`[{a: b}]`, "", `1:1: want text, have a list`},
		{`{a: b}`, engine.File{}, `1:1: want a file name, have a mapping`},
		{`{a: b}`, 0, numbers + `a mapping`},
		// A list, without one.
		{`a`, []string{}, `1:1: want a list, have the text "a" (write [a])`},
		{`1.5`, []float64{}, `1:1: want a list, have the number 1.5 (write [1.5])`},
		{`{a: b}`, []string{}, `1:1: want a list, have a mapping`},
		{`a`, []service{}, `1:1: want a list, have the text "a"`},
		// A mapping.
		{`a`, map[string]string{}, `1:1: want a mapping, have the text "a" (write it as a mapping: {name: value})`},
		{`[a]`, map[string]string{}, `1:1: want a mapping, have a list (write it as a mapping, without the hyphens: name: value)`},
		{`[{name: a}]`, service{}, `1:1: want a mapping, have a list (write it without the hyphens: it is one mapping, not a list)`},
		{`[a]`, service{}, `1:1: want a mapping, have a list (it is a mapping; its keys are name and namespace)`},
		{`[]`, service{}, `1:1: want a mapping, have a list (it is a mapping; its keys are name and namespace)`},
		{`shop/web`, service{}, `1:1: want a mapping, have the text "shop/web" (write {namespace: shop, name: web})`},
		{`shop/`, service{}, `1:1: want a mapping, have the text "shop/" (it is a mapping; its keys are name and namespace)`},
		{`/web`, service{}, `1:1: want a mapping, have the text "/web" (it is a mapping; its keys are name and namespace)`},
		{`web`, service{}, `1:1: want a mapping, have the text "web" (it is a mapping; its keys are name and namespace)`},
		{`shop/web`, named{}, `1:1: want a mapping, have the text "shop/web" (it is a mapping; its keys are kind and name)`},
		{`shop/web`, spaced{}, `1:1: want a mapping, have the text "shop/web" (it is a mapping; its keys are label and namespace)`},
		{`443`, port{}, `1:1: want a mapping, have the number 443 (write {port: 443})`},
		{`1.5`, port{}, `1:1: want a mapping, have the number 1.5 (write {host: …, scheme: …})`},
		{`a`, port{}, `1:1: want a mapping, have the text "a" (write {host: …, scheme: …})`},
		{`!!int [1, 2]`, port{}, `1:1: want a mapping, have a list (write {host: …, scheme: …})`},
		{`443`, struct {
			Wait engine.Duration `yaml:"wait"`
			Port int             `yaml:"port"`
		}{}, `1:1: want a mapping, have the number 443 (write {port: 443})`},
		{`443`, service{}, `1:1: want a mapping, have the number 443 (it is a mapping; its keys are name and namespace)`},
		// Texts of a form of their own.
		{`abc`, mark{}, `spec_test.mark{text:"abc"}`},
		{`abcd`, mark{}, `1:1: a mark has 3 letters`},
		{`12`, mark{}, `1:1: want text, have the number 12`},
		{`[a, b]`, mark{}, `1:1: want text, have a list`},
	} {
		if got := decode(t, tt.text, tt.like, values{}); got != tt.want {
			t.Errorf("%s as %T\n got %s\nwant %s", tt.text, tt.like, got, tt.want)
		}
	}
	for _, tt := range []struct{ text, want string }{
		{`12`, `1:1: want text, and ${vars.x} is the number 12`},
		{`abcd`, `1:1: ${vars.x}: a mark has 3 letters`},
	} {
		if got := decode(t, `"${vars.x}"`, mark{}, values{"vars.x": variable(t, tt.text)}); got != tt.want {
			t.Errorf("${vars.x} = %s\n got %s\nwant %s", tt.text, got, tt.want)
		}
	}
}

// TestMismatchedSecrets: the message about a value where secrets are wanted does not show it.
func TestMismatchedSecrets(t *testing.T) {
	type login struct {
		Namespace string        `yaml:"namespace"`
		Name      string        `yaml:"name"`
		Level     int           `yaml:"level"`
		Token     engine.Secret `yaml:"token" check:"required"`
	}
	for _, text := range []string{canary, "a/" + canary, "12345678"} {
		for _, tt := range []struct {
			like any
			want string // TYPE is the type of the value
		}{
			{[]engine.Secret{}, `1:1: want a list, have TYPE (write a list: […])`},
			{map[string]engine.Secret{}, `1:1: want a mapping, have TYPE (write it as a mapping: {name: value})`},
			{login{}, `1:1: want a mapping, have TYPE (write {token: …})`},
			{new(login), `1:1: want a mapping, have TYPE (write {token: …})`},
			{[]login{}, `1:1: want a list, have TYPE (write a list: […])`},
		} {
			typ := "text"
			if text == "12345678" {
				typ = "a number"
			}
			want := strings.Replace(tt.want, "TYPE", typ, 1)
			if got := decode(t, text, tt.like, values{}); got != want {
				t.Errorf("%s as %T\n got %s\nwant %s", text, tt.like, got, want)
			}
			if got, want := decode(t, `"${vars.x}"`, tt.like, values{"vars.x": variable(t, text)}), strings.Replace(want, "have ", "and ${vars.x} is ", 1); !strings.HasPrefix(want, got) {
				t.Errorf("${vars.x} as %T\n got %s\nwant %s", tt.like, got, want)
			}
		}
	}
}

// TestTypeNames: the types of outputs in messages, and as variables declare them.
func TestTypeNames(t *testing.T) {
	for _, tt := range []struct {
		like           any
		name, declared string
	}{
		{"", "text", "string"},
		{ptr(""), "text", "string"},
		{namedText(""), "text", "string"},
		{false, "true or false", "bool"},
		{ptr(false), "true or false", "bool"},
		{0, "a whole number", "number"},
		{uint16(0), "a whole number", "number"},
		{0.5, "a number", "number"},
		{float32(0), "a number", "number"},
		{engine.Duration(0), "a duration", "string"},
		{engine.Secret{}, "a secret", "string"},
		{engine.File{}, "a file name", "string"},
		{[]string{}, "a list", "list"},
		{map[string]int{}, "a mapping", "map"},
		{target{}, "a mapping", "map"},
		{ptr(target{}), "a mapping", "map"},
	} {
		typ := reflect.TypeOf(tt.like)
		if name, declared := spec.TypeName(typ), spec.TypeOfOutput(typ); name != tt.name || declared != tt.declared {
			t.Errorf("%v: got %q and %q, want %q and %q", typ, name, declared, tt.name, tt.declared)
		}
	}
	typ := reflect.TypeFor[any]()
	if name, declared := spec.TypeName(typ), spec.TypeOfOutput(typ); name != "a value" || declared != "" {
		t.Errorf("any: got %q and %q", name, declared)
	}
}
