package vars_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/vars"
)

// TestSecretOfDocument: another document cannot give a secret, which it does not keep, and
// no message shows it.
func TestSecretOfDocument(t *testing.T) {
	d := declare(t, "{token: {secret: true}, n: 1}", false)
	file := source.NewFile("fleet.yaml", []byte("{token: canary, n: [canary]}"))
	d.Give(vars.Given{Values: vars.Values{File: file, Node: source.Parse(file, "a fleet", d.Collector.Add)}}, nil)
	d.Set.Resolve()
	err := d.Err()
	want := []string{
		`fleet.yaml:1:2: variable "token" is a secret, and fleet.yaml is not kept as one | let the plan read it where it runs, or leave it to a login of connections`,
		`fleet.yaml:1:20: variable "n": want a number, have a list`,
	}
	if diff := cmp.Diff(want, d.problems()); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(err.Error(), "canary") || strings.Count(err.Error(), "> 1 |") != 2 {
		t.Errorf("an excerpt is missing, or shows the secret:\n%v", err)
	}
}

// TestExposedFile: a file with a secret is its owner's only. That is said once of a file, and
// not of one without secrets.
func TestExposedFile(t *testing.T) {
	const declared = "{a: {secret: true}, b: {secret: true}, c: 1}"
	for _, tt := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{"a: aaaa\nb: bbbb\n", 0o600, ""},
		{"c: 2\n", 0o644, ""},
		{"c: 2\na: aaaa\nb: bbbb\n", 0o640, `FILE:2:1: variable "a" is a secret, and FILE is open to others (mode 0640) | chmod 600 FILE, and consider whom its content has reached`},
		{"a: ~\nb: bbbb\n", 0o604, `FILE:2:1: variable "b" is a secret, and FILE is open to others (mode 0604) | chmod 600 FILE, and consider whom its content has reached`},
	} {
		d := declare(t, declared, false)
		file := write(t, tt.text, tt.mode)
		d.Give(vars.Given{Files: []string{file}}, engine.NewInputs(t.Context()))
		if got := strings.ReplaceAll(strings.Join(d.problems(), "\n"), file, "FILE"); got != tt.want {
			t.Errorf("%q, mode %o:\n got %s\nwant %s", tt.text, tt.mode, got, tt.want)
		}
	}
}

// TestSecretsAreKept: every text of a secret is known to the collector, from wherever it
// comes, so that nothing shows it.
func TestSecretsAreKept(t *testing.T) {
	inputs := engine.NewInputs(t.Context())
	for name, tt := range map[string]struct {
		declared string
		given    vars.Given
		want     []string
	}{
		"a default":           {"{s: {secret: true, default: canary}}", vars.Given{}, []string{"canary"}},
		"a number":            {"{s: {secret: true, default: 123456}}", vars.Given{}, []string{"123456"}},
		"a default with more": {"{s: {secret: true, default: canary, nonsense: 1}}", vars.Given{}, []string{"canary"}},
		"a list":              {"{s: {secret: true, default: [canary-1, [canary-2], true]}}", vars.Given{}, []string{"canary-1", "canary-2"}},
		"a mapping":           {"{s: {secret: true, default: {username: canary}}}", vars.Given{}, []string{"canary"}},
		"a list of others":    {`{s: {secret: true, default: ["x${vars.t}"]}, t: shown}`, vars.Given{}, []string{"x${vars.t}", "xshown"}},
		"made of one":         {`{s: {secret: true, default: canary}, t: "Bearer ${vars.s}"}`, vars.Given{}, []string{"Bearer canary", "canary"}},
		"what is beside one":  {`{s: {secret: true, default: canary}, t: ["${vars.s}", shown]}`, vars.Given{}, []string{"canary"}},
		"environment": {"{s: {secret: true, env: E}}",
			vars.Given{Env: func(name string) (string, bool) { return "canary", name == "E" }}, []string{"canary"}},
		"a file":             {"{s: {secret: true}}", vars.Given{Files: []string{write(t, "s: canary\n", 0o600)}}, []string{"canary"}},
		"a file with a list": {"{s: {secret: true, type: string}, t: 1}", vars.Given{Files: []string{write(t, "s: [canary]\nt: 2\n", 0o600)}}, []string{"canary"}},
		"a flag":             {"{s: {secret: true}}", vars.Given{Flags: map[string]string{"s": "canary"}}, []string{"canary"}},
		"no secrets":         {"{s: {default: shown}, t: {secret: false, default: shown}}", vars.Given{Files: []string{write(t, "s: shown\n", 0o600)}}, nil},
	} {
		d := declare(t, tt.declared, false)
		d.Give(tt.given, inputs)
		d.Set.Resolve()
		_ = d.Err() // sorts them
		if diff := cmp.Diff(tt.want, d.Secrets()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// TestSecretsOfAFile: no excerpt of a file shows the value of a variable that is declared a
// secret, whatever its name is and however it is written.
func TestSecretsOfAFile(t *testing.T) {
	for name, text := range map[string]string{
		"folded":          "conn: >-\n  canary\n  canary\nbad: 1\n",
		"in quotes":       "conn: \"canary\n\n  can\\\n  ary canary\"\nbad: 1\n",
		"over lines":      "conn: canary\n  canary\nbad: 1\n",
		"in one line":     "{bad: 1, conn: abc}\n",
		"short":           "bad: 1\nconn: abc\n",
		"a mapping":       "conn:\n  name: abc\nbad: 1\n",
		"no YAML":         "conn: [abc\nbad: 1\n",
		"another problem": "n: [shown]\nconn: canary canary\n",
	} {
		d := declare(t, "{conn: {secret: true}, n: 1}", false)
		d.Give(vars.Given{Files: []string{write(t, text, 0o600)}}, engine.NewInputs(t.Context()))
		d.Set.Resolve()
		got := fmt.Sprint(d.Err())
		if strings.Contains(got, "can") || strings.Contains(got, "ary") || strings.Contains(got, "abc") || !strings.Contains(got, "(secret)") {
			t.Errorf("%s: %s", name, got)
		}
		if strings.Contains(text, "shown") && !strings.Contains(got, "> 1 | n: [shown]") {
			t.Errorf("%s: hides more: %s", name, got)
		}
	}
}

// TestSecretsAreNotShown: a message about the value of a secret has its sort only.
func TestSecretsAreNotShown(t *testing.T) {
	env := func(string) (string, bool) { return "abc", true } // too short to be taken out of texts
	d := declare(t, "{s: {secret: true, type: number, env: E}, t: {type: number, env: E}}", false)
	d.Give(vars.Given{Env: env}, nil)
	d.Set.Resolve()
	want := []string{
		`variable "s": want a number, have text, from $E`,
		`variable "t": want a number, have the text "abc", from $E`,
	}
	if diff := cmp.Diff(want, d.problems()); diff != "" {
		t.Error(diff)
	}
	d = declare(t, "{s: {type: list}, t: {secret: true}}", true)
	d.Put("s", spec.Value{Node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "abc"}, Secret: true}, "step a: with.s", source.Position{})
	d.Put("t", spec.Value{Node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "xyz"}}, "step a: with.t", source.Position{})
	plain := d.Set.Resolve()
	if diff := cmp.Diff([]string{"step a: with.s: want a list, have text"}, d.problems()); diff != "" {
		t.Error(diff)
	}
	if got, ok := plain["t"].(engine.Secret); !ok || got.Reveal() != "xyz" || len(plain) != 1 {
		t.Errorf("got %#v", plain)
	}
}

// TestSecretsOfFragments: what a fragment is given is a secret if it is one where it comes
// from, or if the fragment says so; it is kept also if it is of another type.
func TestSecretsOfFragments(t *testing.T) {
	d := declare(t, "{a: , b: {type: number}, c: {secret: true, type: list}, d: }", true)
	put := func(name, text string, secret bool) {
		d.Put(name, spec.Value{Node: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}, Secret: secret}, "step a: with."+name, source.Position{})
	}
	put("a", "canary-a", true)
	put("b", "canary-b", true)
	put("c", "canary-c", false)
	put("d", "shown", false)
	if got := fmt.Sprint(d.Set.Resolve()); got != "map[a:(secret) d:shown]" {
		t.Errorf("got %s", got)
	}
	if diff := cmp.Diff([]string{"step a: with.b: want a number, have text", "step a: with.c: want a list, have text"}, d.problems()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"canary-a", "canary-b", "canary-c"}, d.Secrets()); diff != "" {
		t.Error(diff)
	}
}
