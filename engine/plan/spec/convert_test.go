package spec_test

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// TestWritten: values of a plan as inputs of each type.
func TestWritten(t *testing.T) {
	for _, tt := range []struct {
		text string
		like any
		want string
	}{
		{`abc`, "", `"abc"`},
		{`"12"`, "", `"12"`},
		{`12`, "", `1:1: want text, have the number 12 (write it in quotes: "12")`},
		{`true`, "", `1:1: want text, have true (write it in quotes: "true")`},
		{`no`, "", `"no"`},
		{`""`, "", `""`},
		{`[a]`, "", `1:1: want text, have a list (write one value, without the list: a)`},
		{`{a: b}`, "", `1:1: want text, have a mapping`},
		{`true`, false, `true`},
		{`yes`, false, `true`},
		{`"true"`, false, `1:1: want true or false, have the text "true" (write true or false, without quotes)`},
		{`1`, false, `1:1: want true or false, have the number 1`},
		{`7`, 0, `7`},
		{`0400`, 0, `256`},
		{`-3`, 0, `-3`},
		{`1.5`, 0, `1:1: want a whole number, have the number 1.5`},
		{`"7"`, 0, `1:1: want a whole number, have the text "7" (write 7, without quotes)`},
		{`x`, 0, `1:1: want a whole number, have the text "x"`},
		{`300`, int8(0), `1:1: 300 is not a whole number, or too large`},
		{`-129`, int8(0), `1:1: -129 is not a whole number, or too large`},
		{`255`, uint8(0), `0xff`},
		{`256`, uint8(0), `1:1: 256 is not a whole number from 0, or too large`},
		{`-1`, uint(0), `1:1: -1 is not a whole number from 0, or too large`},
		{`18446744073709551615`, uint64(0), `0xffffffffffffffff`},
		{`18446744073709551615`, uint32(0), `1:1: 18446744073709551615 is not a whole number from 0, or too large`},
		{`9223372036854775808`, 0, `1:1: 9223372036854775808 is not a whole number, or too large`},
		{`!!int abc`, 0, `1:1: abc is not a whole number, or too large`},
		{`!!int abc`, uint(0), `1:1: abc is not a whole number from 0, or too large`},
		{`2.5`, 0.0, `2.5`},
		{`2`, 0.0, `2`},
		{`!!float abc`, 0.0, `1:1: abc is not a number`},
		{`true`, engine.Duration(0), `1:1: want a duration, have true`},
		{`two`, 0.0, `1:1: want a number, have the text "two"`},
		{`90s`, engine.Duration(0), `1m30s`},
		{`90`, engine.Duration(0), `1:1: want a duration, have the number 90 (add a unit: 90s, 90m, 90h or 90d)`},
		{`1.5`, engine.Duration(0), `1:1: want a duration, have the number 1.5 (add a unit: 1.5s, 1.5m, 1.5h or 1.5d)`},
		{`90s 2`, engine.Duration(0), `1:1: "90s 2" is not a duration: write a number and a unit, such as 30s, 5m, 24h or 30d`},
		{`x`, engine.Secret{}, `secret x`},
		{`"{{ x }}"`, engine.Secret{}, `secret {{ x }}`},
		{`12345`, engine.Secret{}, `1:1: want a secret, have a number (write the value in quotes)`},
		{`[x]`, engine.Secret{}, `1:1: want a secret, have a list`},
		{`a/b.pem`, engine.File{}, `file /plans/a/b.pem`},
		{`1`, engine.File{}, `1:1: want a file name, have the number 1`},
		{`[1, 2]`, []int{}, `[]int{1, 2}`},
		{`1`, []int{}, `1:1: want a list, have the number 1 (write [1])`},
		{`[1, x]`, []int{}, `1:5: [1]: want a whole number, have the text "x"`},
		{`[a, null]`, []string{}, `1:5: [1]: has no value (remove the item, or give it a value)`},
		{`{a: 1}`, map[string]int{}, `map[string]int{"a":1}`},
		{`{a: null}`, map[string]string{}, `1:5: a: has no value (write "" for empty text)`},
		{`{y: 1}`, map[string]int{}, `map[string]int{"true":1}`},
		{`[a]`, map[string]int{}, `1:1: want a mapping, have a list (write it as a mapping, without the hyphens: name: value)`},
		{`3`, new(int), `*3`},
		{`null`, new(int), `(*int)(nil)`},
		// A tag does not make a list a text.
		{`!!str [a]`, "", `1:1: want text, have a list (write one value, without the list: a)`},
		{`!!str [a]`, engine.Secret{}, `1:1: want a secret, have a list`},
		{`!!str [a]`, engine.File{}, `1:1: want a file name, have a list (write one value, without the list: a)`},
		{`!!str [5m]`, engine.Duration(0), `1:1: want a duration, have a list (write one value, without the list: 5m)`},
		{`!!str [a, b]`, false, `1:1: want true or false, have a list`},
		{`!!bool [true]`, false, `1:1: want true or false, have a list (write one value, without the list: true)`},
		{`!!int [1]`, 0, `1:1: want a whole number, have a list (write one value, without the list: 1)`},
		{`!!int [1, 2]`, engine.Duration(0), `1:1: want a duration, have a list`},
		{`$${x}`, "", `"${x}"`},
		{`a $ b`, "", `"a $ b"`},
	} {
		if got := decode(t, tt.text, tt.like, values{}); got != tt.want {
			t.Errorf("%s as %T\n got %s\nwant %s", tt.text, tt.like, got, tt.want)
		}
	}
}

// TestVariablesAsInputs: a variable fills an input as if it were written there, but
// numbers, true and false may become text; its place is where it is used.
func TestVariablesAsInputs(t *testing.T) {
	for _, tt := range []struct {
		value string
		like  any
		want  string
	}{
		{`12`, "", `"12"`},
		{`true`, "", `"true"`},
		{`1.50`, "", `"1.50"`},
		{`0400`, "", `1:1: want text, and ${vars.x} is written 0400 and read as 256 (where it is given, write "0400" for the text, or 256)`},
		{`yes`, "", `1:1: want text, and ${vars.x} is written yes and read as true (where it is given, write "yes" for the text, or true)`},
		{`"0400"`, "", `"0400"`},
		{`0400`, 0, `256`},
		{`"7"`, 0, `1:1: want a whole number, and ${vars.x} is the text "7"`},
		{`[a, b]`, []string{}, `[]string{"a", "b"}`},
		{`[a, b]`, "", `1:1: want text, and ${vars.x} is a list`},
		{`{a: 1}`, map[string]int{}, `map[string]int{"a":1}`},
		{`"${vars.y}"`, "", `"${vars.y}"`},
		{`12345`, engine.Secret{}, `secret 12345`},
		{`0400`, engine.Secret{}, `1:1: want text, and ${vars.x} is a number in a form that changes when it is read (write it in quotes where it is given)`},
		{`[a]`, engine.Secret{}, `1:1: want a secret, and ${vars.x} is a list`},
		{`90`, engine.Duration(0), `1:1: want a duration, and ${vars.x} is the number 90 (add a unit: 90s, 90m, 90h or 90d)`},
		{`300`, int8(0), `1:1: ${vars.x}: 300 is out of range`},
		{`{a: 1}`, []int{}, `1:1: want a list, and ${vars.x} is a mapping`},
		{`[null]`, []any{}, `[]interface {}{interface {}(nil)}`},
		{`null`, "", `""`},
		{`5m`, engine.Duration(0), `5m`},
		{`a.pem`, engine.File{}, `file /plans/a.pem`},
	} {
		if got := decode(t, `"${vars.x}"`, tt.like, values{"vars.x": variable(t, tt.value)}); got != tt.want {
			t.Errorf("%s as %T\n got %s\nwant %s", tt.value, tt.like, got, tt.want)
		}
	}
}

// TestAfterReferences: a value after a reference is one that the plan writes itself.
func TestAfterReferences(t *testing.T) {
	scope := values{"vars.n": variable(t, "12"), "steps.a.n": output(12)}
	for text, want := range map[string]string{
		`["${vars.n}", 12]`:      `1:15: [1]: want text, have the number 12 (write it in quotes: "12")`,
		`["x ${vars.n}", 12]`:    `1:17: [1]: want text, have the number 12 (write it in quotes: "12")`,
		`["${steps.a.n}", 12]`:   `1:18: [1]: want text, have the number 12 (write it in quotes: "12")`,
		`["${vars.n}", "$${n}"]`: `[]string{"12", "${n}"}`,
		`["${vars.n}", no, x]`:   `[]string{"12", "no", "x"}`,
	} {
		if got := decode(t, text, []string{}, scope); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// outputs are outputs of every type that kinds have.
var outputs = []any{
	"text", "", "12", "true", true, 7, int8(-7), uint16(9), uint64(math.MaxUint64), int64(math.MaxInt64), 1.5, float32(2),
	engine.Duration(90e9), engine.NewSecret("s3cret"), engine.File{Name: "a", Path: "/a"}, []string{"a", "b"}, []int{1}, []engine.Secret{engine.NewSecret("one")},
	map[string]string{"k": "v"}, map[string]int{"k": 300}, struct {
		A string `yaml:"a"`
	}{"x"}, ptr("pointed"), ptr(5), struct {
		A *holder `yaml:"a"`
	}{&holder{Keys: map[string]engine.Secret{"k": engine.NewSecret("s3cret")}}}, map[string]engine.Secret{"k": engine.NewSecret("s3cret")},
}

// A holder holds secrets below itself.
type holder struct {
	Keys map[string]engine.Secret `yaml:"keys"`
	Next *holder                  `yaml:"next"`
}

// inputs are inputs of every type that specs have.
var inputs = []any{
	"", false, 0, int8(0), uint(0), uint8(0), 0.0, engine.Duration(0), engine.Secret{}, engine.File{}, []string{}, []int{}, []engine.Secret{}, []engine.File{},
	map[string]string{}, map[string]int{}, map[string]any{}, new(string), new(int), new(engine.Secret),
}

func ptr[T any](x T) *T { return &x }

// TestOutputsFitOrNot: an output that a plan may use by its type is either converted
// in the run or refused for its value; one that it may not use is refused before.
func TestOutputsFitOrNot(t *testing.T) {
	byValue := []string{"out of range", "duration", "whole number"}
	for _, out := range outputs {
		for _, in := range inputs {
			name := fmt.Sprintf("%T as %T", out, in)
			before := decode(t, `"${steps.a.x}"`, in, values{"steps.a.x": later(out)})
			run := decode(t, `"${steps.a.x}"`, in, values{"steps.a.x": output(out)})
			switch {
			case before != "pending" && before != run:
				t.Errorf("%s: before the run: %s; in the run: %s", name, before, run)
			case before != "pending" && !strings.HasPrefix(before, "1:2: "):
				t.Errorf("%s: before the run: %s", name, before)
			case before == "pending" && strings.HasPrefix(run, "1:2: ") && !containsAny(run, byValue):
				t.Errorf("%s: fits before the run; in the run: %s", name, run)
			case strings.Contains(before+run, "s3cret") && reflect.TypeOf(in) != reflect.TypeFor[engine.Secret]() && reflect.TypeOf(in) != reflect.TypeFor[*engine.Secret]():
				t.Errorf("%s shows a secret: %s, %s", name, before, run)
			}
		}
	}
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

type (
	named      int
	namedUint  uint
	namedFloat float64
	namedText  string
	namedBool  bool
)

func (named) String() string      { return "another" }
func (namedUint) String() string  { return "another" }
func (namedFloat) String() string { return "another" }
func (namedText) String() string  { return "another" }
func (namedBool) String() string  { return "another" }

// TestOutputsAsInputs: values that outputs become.
func TestOutputsAsInputs(t *testing.T) {
	for _, tt := range []struct {
		out, like any
		want      string
	}{
		{"text", "", `"text"`},
		{7, "", `"7"`},
		{true, "", `"true"`},
		{1.5, "", `"1.5"`},
		{engine.Duration(90e9), "", `"1m30s"`},
		{ptr("p"), "", `"p"`},
		{"7", 0, `1:2: want a whole number, and ${steps.a.x} is text`},
		{"true", false, `1:2: want true or false, and ${steps.a.x} is text`},
		{7, int8(0), `7`},
		{300, int8(0), `1:2: ${steps.a.x}: 300 is out of range`},
		{-1, uint(0), `1:2: ${steps.a.x}: -1 is out of range`},
		{uint64(math.MaxUint64), 0, `1:2: ${steps.a.x}: 18446744073709551615 is out of range`},
		{uint16(9), uint8(0), `0x9`},
		{7, 0.0, `7`},
		{uint16(9), 0.0, `9`},
		{1.5, 0, `1:2: want a whole number, and ${steps.a.x} is a number`},
		{map[string]uint64{"k": math.MaxUint64, "l": 1}, map[string]any{}, `map[string]interface {}{"k":0xffffffffffffffff, "l":1}`},
		{"90s", engine.Duration(0), `1m30s`},
		{7, engine.Duration(0), `1:2: want a duration, and ${steps.a.x} is a whole number`},
		{"a.pem", engine.File{}, `file /plans/a.pem`},
		{engine.File{Name: "a.pem", Path: "/elsewhere/a.pem"}, engine.File{}, `file /elsewhere/a.pem`},
		{engine.File{Name: "a.pem", Path: "/elsewhere/a.pem"}, "", `"a.pem"`},
		{7, engine.File{}, `1:2: want a file name, and ${steps.a.x} is a whole number`},
		{"x", engine.Secret{}, `secret x`},
		{12, engine.Secret{}, `secret 12`},
		{engine.NewSecret("s"), engine.Secret{}, `secret s`},
		{engine.NewSecret("s"), new(engine.Secret), `secret s`},
		{[]string{"a"}, engine.Secret{}, `1:2: want a secret, and ${steps.a.x} is a list`},
		{[]int{1, 2}, []string{}, `[]string{"1", "2"}`},
		{[]int{1, 300}, []int8{}, `1:2: [1]: ${steps.a.x}: 300 is out of range`},
		{[]string{"a"}, []int{}, `1:2: want a list, and ${steps.a.x} is a list of other values`},
		{map[string]int{"k": 1}, map[string]string{}, `map[string]string{"k":"1"}`},
		{struct {
			A string `yaml:"a"`
			B int    `yaml:"b"`
		}{"x", 2}, map[string]string{}, `map[string]string{"a":"x", "b":"2"}`},
		{[]engine.Secret{engine.NewSecret("a"), engine.NewSecret("b")}, []engine.Secret{}, `secret a, secret b`},
		{[]engine.Secret{engine.NewSecret("a")}, []string{}, `1:2: ${steps.a.x} is a secret, and this input is not: it would be shown`},
		{"text", new(string), `*"text"`},
		{true, new(bool), `*true`},
		{-1, 0.0, `-1`},
		{float32(2), "", `"2"`},
		{float32(0.1), "", `"0.1"`},
		{float32(0.1), 0.0, `0.1`},
		{1.5, float32(0), `1.5`},
		{true, 0.0, `1:2: want a number, and ${steps.a.x} is true or false`},
		{uint64(math.MaxUint64), "", `"18446744073709551615"`},
		{engine.Duration(90e9), engine.Duration(0), `1m30s`},
		{engine.Duration(90e9), 0, `1:2: want a whole number, and ${steps.a.x} is a duration`},
		{"soon", engine.Duration(0), `1:2: ${steps.a.x}: "soon" is not a duration: write a number and a unit, such as 30s, 5m, 24h or 30d`},
		{struct {
			A string   `yaml:"a"`
			B []string `yaml:"b"`
		}{"x", []string{"y"}}, map[string]any{}, `map[string]interface {}{"a":"x", "b":[]interface {}{"y"}}`},
		{struct {
			B []string `yaml:"b"`
		}{}, map[string]string{}, `1:2: want a mapping, and ${steps.a.x} is a mapping of other values`},
		{map[string]string{"on": "x"}, map[string]string{}, `map[string]string{"on":"x"}`},
		{[]string{"a"}, map[string]string{}, `1:2: want a mapping, and ${steps.a.x} is a list`},
		{map[string]string{"a": "b"}, []string{}, `1:2: want a list, and ${steps.a.x} is a mapping`},
		{"a", map[string]string{}, `1:2: want a mapping, and ${steps.a.x} is text`},
		{engine.File{Name: "a"}, map[string]string{}, `1:2: want a mapping, and ${steps.a.x} is a file name`},
		{map[string]int{"a": 1}, struct {
			A int `yaml:"a"`
		}{}, `1:2: want a mapping, and ${steps.a.x} is a mapping of other values`},
		{struct {
			A *int `yaml:"a"`
		}{}, map[string]any{}, `map[string]interface {}{"a":interface {}(nil)}`},
		// A value is what it is, whatever its String method says.
		{named(1), "", `"1"`},
		{namedUint(1), "", `"1"`},
		{namedFloat(1.5), "", `"1.5"`},
		{namedText("x"), "", `"x"`},
		{namedBool(true), "", `"true"`},
		{namedBool(true), false, `true`},
		{namedText("5m"), engine.Duration(0), `5m`},
		{"abc", mark{}, `spec_test.mark{text:"abc"}`},
		{"abcd", mark{}, `1:2: ${steps.a.x}: a mark has 3 letters`},
		{7, mark{}, `1:2: want text, and ${steps.a.x} is a whole number`},
		{struct {
			A int `yaml:"a"`
		}{}, login{}, `1:2: want a mapping, and ${steps.a.x} is a mapping of other values`},
		{login{Method: "jwt"}, login{}, `spec_test.login{Method:"jwt", Role:""}`},
		{login{Method: "jwt"}, new(login), `*spec_test.login{Method:"jwt", Role:""}`},
	} {
		if got := decode(t, `"${steps.a.x}"`, tt.like, values{"steps.a.x": output(tt.out)}); got != tt.want {
			t.Errorf("%#v as %T\n got %s\nwant %s", tt.out, tt.like, got, tt.want)
		}
	}
}

// TestTexts: references as parts of a text.
func TestTexts(t *testing.T) {
	scope := values{
		"vars.n": variable(t, "12"), "vars.b": variable(t, "false"), "vars.s": variable(t, "é x"), "vars.l": variable(t, "[1]"), "vars.nothing": variable(t, "null"),
		"vars.octal": variable(t, "0400"), "steps.a.port": output(443), "steps.a.later": later(443), "steps.a.pointer": later(ptr("")), "steps.a.list": later([]int{}), "steps.a.for": output(engine.Duration(60e9)),
	}
	for _, tt := range []struct {
		text string
		like any
		want string
	}{
		{`x${vars.n}y${vars.b}`, "", `"x12yfalse"`},
		{`${vars.s}${vars.s}`, "", `"é xé x"`},
		{`https://h:${steps.a.port}/$${raw}`, "", `"https://h:443/${raw}"`},
		{`p ${steps.a.later}`, "", `pending`},
		{`p ${steps.a.pointer}`, "", `pending`},
		{`${vars.n}m`, engine.Duration(0), `12m`},
		{`${steps.a.later}m`, engine.Duration(0), `pending`},
		{`1${vars.n}`, 0, `1:1: want a whole number, have the text "112" (write 112, without quotes)`},
		{`1${steps.a.later}`, 0, `1:1: want a whole number, have text with references in it`},
		{`a${steps.a.for}`, "", `"a1m"`},
		{`a ${vars.l}`, "", `1:3: ${vars.l} is a list: only text, numbers, true and false can be part of a text`},
		{`a ${steps.a.list}`, "", `1:3: ${steps.a.list} is a list: only text, numbers, true and false can be part of a text`},
		{`a ${vars.nothing}`, "", `1:3: ${vars.nothing} is nothing: only text, numbers, true and false can be part of a text`},
		{`a ${vars.octal}`, "", `1:3: want text, and ${vars.octal} is written 0400 and read as 256 (where it is given, write "0400" for the text, or 256)`},
		{`é ${vars.x} ${vars.y}`, "", `1:3: ${vars.x}: unknown (know it); 1:13: ${vars.y}: unknown (know it)`},
		{`a ${steps.a.list} ${steps.a.later}`, "", `1:3: ${steps.a.list} is a list: only text, numbers, true and false can be part of a text`},
		{`a ${vars.l} ${vars.n}`, "", `1:3: ${vars.l} is a list: only text, numbers, true and false can be part of a text`},
		{`a ${vars.octal}`, engine.Secret{}, `1:3: want text, and ${vars.octal} is written 0400 and read as 256 (where it is given, write "0400" for the text, or 256)`},
		{`dir/${vars.n}.pem`, engine.File{}, `file /plans/dir/12.pem`},
		{`t-${vars.n}`, engine.Secret{}, `secret t-12`},
	} {
		if got := decode(t, tt.text, tt.like, scope); got != tt.want {
			t.Errorf("%s as %T\n got %s\nwant %s", tt.text, tt.like, got, tt.want)
		}
	}
}
