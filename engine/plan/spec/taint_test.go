package spec_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

const canary = "c4nary-value"

// TestSecretsFillOnlySecrets: a secret, known or not, alone or in a text, fills an
// input that takes secrets and no other, and no message shows it.
func TestSecretsFillOnlySecrets(t *testing.T) {
	for name, scope := range map[string]values{
		"variable": {"vars.x": secretly(variable(t, canary))},
		"output":   {"vars.x": output(engine.NewSecret(canary))},
		"later":    {"vars.x": later(engine.NewSecret(canary))},
		// Of a type that does not say so: a part of a secret, or made from one.
		"marked":       {"vars.x": secretly(output(canary))},
		"later marked": {"vars.x": secretly(later(canary))},
	} {
		for _, text := range []string{`"${vars.x}"`, `"a ${vars.x}"`} {
			for _, in := range inputs {
				got := decode(t, text, in, scope)
				refused := strings.HasSuffix(got, "${vars.x} is a secret, and this input is not: it would be shown")
				switch in.(type) {
				case engine.Secret, *engine.Secret:
					if refused || !strings.HasPrefix(name, "later") && !strings.Contains(got, canary) {
						t.Errorf("%s %s as %T: %s", name, text, in, got)
					}
				default:
					if !refused || strings.Contains(got, canary) {
						t.Errorf("%s %s as %T: %s", name, text, in, got)
					}
				}
			}
		}
	}
}

// TestSecretsInside: nested inputs take no secrets either.
func TestSecretsInside(t *testing.T) {
	scope := values{"vars.x": secretly(variable(t, canary))}
	for _, tt := range []struct {
		text string
		like any
		ok   bool
	}{
		{`["${vars.x}"]`, []engine.Secret{}, true},
		{`["${vars.x}"]`, []string{}, false},
		{`{a: "${vars.x}"}`, map[string]string{}, false},
		{`{a: {b: ["${vars.x}"]}}`, map[string]any{}, false},
	} {
		got := decode(t, tt.text, tt.like, scope)
		if strings.Contains(got, "it would be shown") == tt.ok || strings.Contains(got, canary) != tt.ok {
			t.Errorf("%s as %T: %s", tt.text, tt.like, got)
		}
	}
}

// TestSecretsOfKinds: the problem says where to see which inputs of a kind take secrets.
func TestSecretsOfKinds(t *testing.T) {
	d, n, problems := decoder(t, `{title: "${vars.x}"}`, values{"vars.x": secretly(variable(t, canary))})
	d.Kind, d.Partial = "certificate", true
	d.Decode(n, nil, new(target))
	if got, want := strings.Join(*problems, "; "), "1:10: title: ${vars.x} is a secret, and this input is not: it would be shown (ztplan explain certificate shows which inputs take secrets)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSubstituteTaint: a variable that is made from a secret is one.
func TestSubstituteTaint(t *testing.T) {
	scope := values{"vars.x": secretly(variable(t, canary)), "vars.p": variable(t, "plain"), "vars.l": variable(t, "[1, 2]")}
	for _, tt := range []struct {
		text, want string
		secret     bool
	}{
		{`"${vars.p}"`, "plain", false},
		{`"${vars.x}"`, canary, true},
		{`"a ${vars.p} ${vars.x}"`, "a plain " + canary, true},
		{`"${vars.x} ${vars.p}"`, canary + " plain", true},
		{`{a: {b: ["${vars.x}"]}}`, "map[a:map[b:[" + canary + "]]]", true},
		{`{a: "${vars.p}", b: "$${c}"}`, "map[a:plain b:${c}]", false},
		{`["${vars.l}"]`, "[[1 2]]", false},
	} {
		d, n, problems := decoder(t, tt.text, scope)
		value, ok := d.Substitute(n)
		if !ok || len(*problems) > 0 {
			t.Fatalf("%s: %v", tt.text, *problems)
		}
		if got := fmt.Sprint(d.Plain(value.Node)); got != tt.want || value.Secret != tt.secret {
			t.Errorf("%s: got %s, secret %v; want %s, %v", tt.text, got, value.Secret, tt.want, tt.secret)
		}
	}
}

// TestKeepSecret: the value of a secret input is kept to be hidden, and so
// are values under a misspelt key of a secret.
func TestKeepSecret(t *testing.T) {
	type in struct {
		Token engine.Secret `yaml:"token"`
		Name  string        `yaml:"name"`
	}
	for text, want := range map[string]string{
		`{token: abcd, name: n}`:         "abcd",
		`{tokn: {a: [abcd]}}`:            "abcd",
		`{nme: abcd}`:                    "",
		`{token: "${vars.x}", name: n}`:  "efgh",
		`{token: "a${vars.x}", name: n}`: "aefgh",
	} {
		d, n, _ := decoder(t, text, values{"vars.x": secretly(variable(t, "efgh"))})
		var kept []string
		d.KeepSecret = func(s string) { kept = append(kept, s) }
		d.Decode(n, nil, new(in))
		if got := strings.Join(kept, " "); got != want {
			t.Errorf("%s: kept %q, want %q", text, got, want)
		}
	}
}

// TestLiteralTaint: shown inputs have no secret in the clear.
func TestLiteralTaint(t *testing.T) {
	type in struct {
		Token  engine.Secret  `yaml:"token"`
		Text   string         `yaml:"text"`
		Values map[string]any `yaml:"values"`
	}
	d, n, _ := decoder(t, `{token: "${steps.a.t}", text: "x ${vars.p} ${steps.a.later}", values: {adminPassword: `+canary+`, size: 3, on: "${vars.p}"}}`, values{
		"vars.p": variable(t, "plain"), "steps.a.t": later(engine.Secret{}), "steps.a.later": later(""),
	})
	got := d.Literal(n, reflect.TypeFor[in]())
	want := "map[text:x plain (known after a) token:(known after a) values:map[adminPassword:(secret) size:3 true:plain]]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
}
