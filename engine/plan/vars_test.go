package plan_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// TestVariableSources: which of a variable's sources counts, and how its text is read.
func TestVariableSources(t *testing.T) {
	const none = "\x00"
	for _, tt := range []struct {
		name, declared  string
		env, file, flag string // none if not given
		want            string
	}{
		{"default", `1`, none, none, none, `int 1`},
		{"environment before default", `{default: 1, env: V}`, "2", none, none, `int 2`},
		{"file before environment", `{default: 1, env: V}`, "2", "v: 3", none, `int 3`},
		{"flag before all", `{default: 1, env: V}`, "2", "v: 3", "4", `int 4`},
		{"null in a file is not given", `{default: 1}`, none, "v: null", none, `int 1`},
		{"empty environment is a value", `{default: x, env: V}`, "", none, none, `string `},
		{"empty flag is a value", `x`, none, none, "", `string `},
		{"text stays text", `x`, none, none, "12", `string 12`},
		{"number as declared", `{type: number}`, none, none, "0x10", `int 16`},
		{"bool as declared", `{type: bool}`, none, none, "off", `bool false`},
		{"list as declared", `{type: list}`, none, none, "[a, 1]", `[]interface {} [a 1]`},
		{"map as declared", `{type: map}`, none, none, "{a: 1}", `map[string]interface {} map[a:1]`},
		{"string as declared", `{type: string}`, none, "v: no", none, `string no`},
		{"no type takes any", ``, none, "v: [1]", none, `[]interface {} [1]`},
		{"no type, from a flag", ``, none, none, "12", `string 12`},
		{"a value means nothing", `x`, none, none, "${vars.v}", `string ${vars.v}`},
		{"a secret is hidden", `{secret: true, env: V}`, "hunter22", none, none, `engine.Secret (secret)`},
		{"wrong type in a flag", `1`, none, none, "x", `--var v: want a number, have the text "x"`},
		{"wrong type in the environment", `{type: bool, env: V}`, "x", none, none, `variable "v": want true or false, have the text "x", from $V`},
		{"wrong type in a file", `1`, none, "v: [x]", none, `variable "v": want a number, have a list`},
		{"number for text in a file", `x`, none, "v: 12", none, `variable "v": want text, have the number 12 (write it in quotes)`},
		{"wrong default", `{type: list, default: x}`, none, none, none, `vars.v: want a list, as its type says, and the default is text`},
		{"none", ``, none, none, none, `variable "v" has no value (give it with --var v=…, or in a file with --var-file)`},
		{"none, with an environment", `{env: V}`, none, none, none, `variable "v" has no value (give it with --var v=…, in a file with --var-file, or set V)`},
		{"none of a secret", `{secret: true}`, none, none, none, `variable "v" has no value (put it into a file that only you can read, and give that with --var-file)`},
		{"secret in a flag", `{secret: true}`, none, none, "hunter22", `--var v: a secret on the command line is there for every process to see (put it into a file that only you can read, and give that: --var-file v.yaml)`},
		{"unknown in a file", `1`, none, "w: 1", none, `the plan has no variable "w" (did you mean "v"?)`},
		{"required with a default", `{required: true, default: 1}`, none, none, none, `vars.v: is required and has a default (keep one of the two)`},
		{"unknown type", `{type: numbr}`, none, none, none, `vars.v.type: "numbr" is not one of string, number, bool, list, map (did you mean "number"?)`},
		{"unknown key", `{typ: number, secret: false}`, none, none, none, `vars.v: unknown key "typ" (did you mean "type"?)`},
	} {
		in := plan.Input{
			File: "plan.yaml", Kinds: kinds(), Connections: connections(),
			Data: []byte(head + "vars:\n  v: " + tt.declared + "\nsteps: [{id: init, uses: vaultInit}]\n"),
			Env:  func(name string) (string, bool) { return tt.env, name == "V" && tt.env != none },
		}
		if tt.file != none {
			in.VarFiles = []string{filepath.Join(t.TempDir(), "vars.yaml")}
			if err := os.WriteFile(in.VarFiles[0], []byte(tt.file+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if tt.flag != none {
			in.Vars = map[string]string{"v": tt.flag}
		}
		p, err := plan.Load(in)
		var problems *source.Problems
		got := ""
		if errors.As(err, &problems) {
			var all []string
			for _, pr := range problems.List() {
				s := pr.Summary
				if pr.Hint != "" {
					s += " (" + pr.Hint + ")"
				}
				all = append(all, s)
			}
			got = strings.Join(all, "; ")
		} else {
			got = fmt.Sprintf("%T %v", p.Vars["v"], p.Vars["v"])
		}
		if got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// TestVariablesOfVariables: a variable made of others has their type and their secrecy.
func TestVariablesOfVariables(t *testing.T) {
	p := load(t, `
vars:
  host: "${vars.name}.${vars.domain}"
  name: web
  domain: example.org
  ports: [80, "${vars.tls}"]
  tls: 443
  password: {secret: true, default: hunter22}
  dsn: "db://app:${vars.password}@${vars.host}"
  both: {a: "${vars.ports}", b: "${vars.ports[1]}"}
  given: {default: "${vars.password}", type: string}
steps: [{id: init, uses: vaultInit}]
`)
	for name, want := range map[string]string{
		"host": "string web.example.org", "ports": "[]interface {} [80 443]", "dsn": "engine.Secret (secret)", "password": "engine.Secret (secret)",
		"both": "map[string]interface {} map[a:[80 443] b:443]", "given": "engine.Secret (secret)",
	} {
		if got := fmt.Sprintf("%T %v", p.Vars[name], p.Vars[name]); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestVariables(t *testing.T) {
	file := filepath.Join(plans, "valid-var-file.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Load(input(file, data))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"domain": "flag.local", "ports": []any{80, 443}, "token": engine.NewSecret("hvs.from-a-file"), "debug": true, "size": 204,
	}
	if d := cmp.Diff(want, p.Vars); d != "" {
		t.Error(d)
	}
	if got := fmt.Sprintf("%+v %#v", p.Vars, p.Secrets()); strings.Contains(got, "hvs.") {
		t.Errorf("a secret is shown: %s", got)
	}
	if s := p.Secrets(); len(s) != 2 || s[0].Reveal() != "Bearer hvs.from-a-file" || s[1].Reveal() != "hvs.from-a-file" {
		t.Errorf("%d secrets", len(s))
	}
	spec, err := p.Step("site").Spec(outputs(nil))
	if err != nil {
		t.Fatal(err)
	}
	got := spec.(*probe)
	if got.URL != "https://flag.local:443" || got.Token.Reveal() != "Bearer hvs.from-a-file" || got.Expect.Status != 204 {
		t.Errorf("got %+v", got)
	}
}
