package spec_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// revealed shows plain data with its secrets as <secret TEXT>.
func revealed(x any) any {
	switch x := x.(type) {
	case engine.Secret:
		return "<secret " + x.Reveal() + ">"
	case map[string]any:
		m := make(map[string]any)
		for k, v := range x {
			m[k] = revealed(v)
		}
		return m
	case []any:
		list := make([]any, len(x))
		for i, v := range x {
			list[i] = revealed(v)
		}
		return list
	}
	return x
}

// TestLiteral: which values of inputs are secret when they are shown, and that a secret keeps
// its text, by which it is found elsewhere.
func TestLiteral(t *testing.T) {
	type inner struct {
		Token engine.Secret `yaml:"token"`
		Text  string        `yaml:"text"`
		Any   any           `yaml:"any"`
	}
	type in struct {
		Token    *engine.Secret           `yaml:"token"`
		Tokens   []engine.Secret          `yaml:"tokens"`
		ByName   map[string]engine.Secret `yaml:"byName"`
		One      inner                    `yaml:"one"`
		Pointer  *inner                   `yaml:"pointer"`
		Many     []inner                  `yaml:"many"`
		Map      map[string]*inner        `yaml:"map"`
		Password string                   `yaml:"password"`
		Labels   map[string]string        `yaml:"labels"`
		Values   map[string]any           `yaml:"values"`
		Any      any                      `yaml:"any"`
		On       bool                     `yaml:"on"`
	}
	scope := values{
		"vars.p": variable(t, "plain"), "vars.n": variable(t, "3"), "vars.list": variable(t, "[1, {a: b}]"), "vars.s": secretly(variable(t, "hidden")),
		"steps.a.later": later(""), "steps.a.key": later(engine.Secret{}),
	}
	for text, want := range map[string]string{
		// By the type of the input.
		`{token: x}`:                              `map[token:<secret x>]`,
		`{token: null}`:                           `map[token:<nil>]`,
		`{token: "$${x}"}`:                        `map[token:<secret ${x}>]`,
		`{tokens: [x, y]}`:                        `map[tokens:[<secret x> <secret y>]]`,
		`{byName: {a: x}}`:                        `map[byName:map[a:<secret x>]]`,
		`{one: {token: x, text: y}}`:              `map[one:map[text:y token:<secret x>]]`,
		`{pointer: {token: x}}`:                   `map[pointer:map[token:<secret x>]]`,
		`{many: [{token: x}, {text: y}]}`:         `map[many:[map[token:<secret x>] map[text:y]]]`,
		`{map: {a: {token: x}, on: {text: y}}}`:   `map[map:map[a:map[token:<secret x>] true:map[text:y]]]`,
		`{password: x, labels: {password: y}}`:    `map[labels:map[password:y] password:x]`, // a kind says which of its inputs are secret
		`{password: no, labels: {password: off}}`: `map[labels:map[password:off] password:no]`,
		`{on: yes, values: {on: yes}}`:            `map[on:true values:map[true:true]]`,
		// By the name, where there is no type.
		`{values: {auth: {password: x, user: u}}}`:                         `map[values:map[auth:map[password:<secret x> user:u]]]`,
		`{values: {passwords: [x], size: 3}}`:                              `map[values:map[passwords:[<secret x>] size:3]]`,
		`{any: {password: x}}`:                                             `map[any:map[password:<secret x>]]`,
		`{one: {any: {password: x, a: z}}}`:                                `map[one:map[any:map[a:z password:<secret x>]]]`,
		`{many: [{any: [{password: x}]}]}`:                                 `map[many:[map[any:[map[password:<secret x>]]]]]`,
		`{other: {password: x, a: [z]}}`:                                   `map[other:map[a:[z] password:<secret x>]]`,
		`{values: {password: "${vars.p}"}}`:                                `map[values:map[password:<secret plain>]]`,
		`{values: {password: "${steps.a.later}"}}`:                         `map[values:map[password:(known after a)]]`,
		`{values: {args: [--a, x, --password, z]}}`:                        `map[values:map[args:[--a x --password <secret z>]]]`,
		`{any: [--password, "${vars.p}", --password, "${steps.a.later}"]}`: `map[any:[--password <secret plain> --password (known after a)]]`,
		`{any: {kind: Secret, data: {password: x}}}`:                       `map[any:map[data:map[password:<secret x>] kind:Secret]]`,
		`{any: {kind: Secret, stringData: {a: x}}}`:                        `map[any:map[kind:Secret stringData:map[a:<secret x>]]]`,
		// References.
		`{password: "a ${vars.p} ${vars.n}"}`:           `map[password:a plain 3]`,
		`{values: {a: "${vars.n}", b: "${vars.list}"}}`: `map[values:map[a:3 b:[1 map[a:b]]]]`,
		`{values: {a: "${vars.s}"}}`:                    `map[values:map[a:<secret hidden>]]`,
		`{values: {a: "${vars.s} ${vars.p}"}}`:          `map[values:map[a:<secret hidden plain>]]`,
		`{password: "${vars.p} ${vars.s}"}`:             `map[password:<secret plain hidden>]`,
		`{token: "${vars.p}"}`:                          `map[token:<secret plain>]`,
		`{token: "t-${vars.s}"}`:                        `map[token:<secret t-hidden>]`,
		`{token: "${steps.a.key}"}`:                     `map[token:(known after a)]`,
		`{token: "${vars.s} ${steps.a.key}"}`:           `map[token:(known after a)]`,
		`{values: {a: "x ${steps.a.later}"}}`:           `map[values:map[a:x (known after a)]]`,
		`{values: {a: "x ${vars.unknown} ${vars.p}"}}`:  `map[values:map[a:x ${vars.unknown} plain]]`,
		`{values: {a: "$${x}", b: "x ${y"}}`:            `map[values:map[a:${x} b:x ${y]]`,
	} {
		d, n, _ := decoder(t, text, scope)
		if got := fmt.Sprint(revealed(d.Literal(n, reflect.TypeFor[in]()))); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}
