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

	"github.com/ztplan/ztplan/engine"
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

// TestTextOfFlags: text from a command line is a value of the type that is declared, or that
// of the default; it is read as YAML only then, and as one value.
func TestTextOfFlags(t *testing.T) {
	for _, tt := range []struct{ declared, text, want string }{
		{"x", `"quoted"`, `"quoted"`},
		{"{type: string}", `[a]`, `[a]`},
		{"{type: map}", `{a: 1}`, `map[a:1]`},
		{"", `~`, `~`},
		{"", `[a]`, `[a]`},
		{"1", `2`, `2`},
		{"1", ` 2 # two`, `2`},
		{"1", `# two`, `--var v: want a number, have the text "# two"`},
		{"1", `~`, `--var v: want a number, have the text "~"`},
		{"1", ``, `--var v: want a number, have the text ""`},
		{"1", "1\n---\n2", `--var v: want a number, have the text "1\n---\n2"`},
		{"1", "[1", `--var v: want a number, have the text "[1"`},
		{"[a]", "{a: 1}", `--var v: want a list, have the text "{a: 1}"`},
		{"[a]", "[1", `--var v: want a list, have the text "[1"`},
		{"true", "2", `--var v: want true or false, have the text "2"`},
	} {
		d := declare(t, "v: "+tt.declared, false)
		d.Give(vars.Given{Flags: map[string]string{"v": tt.text}}, nil)
		got := fmt.Sprint(d.Set.Resolve()["v"])
		if p := d.problems(); p != nil {
			got = strings.Join(p, "\n")
		}
		if got != tt.want {
			t.Errorf("%s, --var v=%s: got %s, want %s", tt.declared, tt.text, got, tt.want)
		}
	}
}

// TestGivenByDocument: another document gives values of their types, or texts of them.
func TestGivenByDocument(t *testing.T) {
	const declared = "{n: 1, l: [a], s: x, any: , m: {default: {a: 1}}}"
	for text, want := range map[string]string{
		`{any: [1], n: 2, l: [b], s: z}`:          "map[any:[1] l:[b] m:map[a:1] n:2 s:z]",
		`{any: 1, n: "2", l: "[b]", m: "{b: 2}"}`: "map[any:1 l:[b] m:map[b:2] n:2 s:x]",
		`{any: "12", s: "12", n: ~}`:              "map[any:12 l:[a] m:map[a:1] n:1 s:12]",
		`{any: x, l: 2}`:                          `fleet.yaml:1:13: variable "l": want a list, have the number 2`,
		`{any: x, s: 2}`:                          `fleet.yaml:1:13: variable "s": want text, have the number 2 | write it in quotes`,
		`{any: x, s: [2]}`:                        `fleet.yaml:1:13: variable "s": want text, have a list`,
		`{any: x, other: y}`:                      `fleet.yaml:1:10: the plan has no variable "other" | its variables are any, l, m, n and s`,
		`{any: ~}`:                                `plan.yaml:1:22: variable "any" has no value | give it with --var any=…, or in a file with --var-file`,
		`~`:                                       `plan.yaml:1:22: variable "any" has no value | give it with --var any=…, or in a file with --var-file`,
	} {
		d := declare(t, declared, false)
		file := source.NewFile("fleet.yaml", []byte(text))
		d.Give(vars.Given{Values: vars.Values{File: file, Node: source.Parse(file, "a fleet", d.Collector.Add)}}, nil)
		got := fmt.Sprint(d.Set.Resolve())
		if p := d.problems(); p != nil {
			got = strings.Join(p, "\n")
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

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

// TestFileOfVariables: what is wrong with a file, and what follows from that. A variable may
// be in a file that could not be read, and is not missing then.
func TestFileOfVariables(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"empty":            {"", []string{`plan.yaml:1:2: variable "need" has no value`}},
		"nothing":          {"~\n", []string{`plan.yaml:1:2: variable "need" has no value`}},
		"not YAML":         {"a: [\n", []string{`vars.yaml:1:1: not valid YAML: did not find expected node content`}},
		"a list":           {"- a\n", []string{`plan.yaml:1:2: variable "need" has no value`, `vars.yaml:1:1: want a mapping of variables, have a list`}},
		"two documents":    {"other: 2\n---\nneed: y\n", []string{`plan.yaml:1:2: variable "need" has no value`, `vars.yaml:3:1: a second YAML document: a file of variables is one document`}},
		"another variable": {"nead: x\n", []string{`plan.yaml:1:2: variable "need" has no value`, `vars.yaml:1:1: the plan has no variable "nead"`}},
	} {
		d := declare(t, "{need: , other: 1}", false)
		file := write(t, tt.text, 0o600)
		d.Give(vars.Given{Files: []string{file}}, engine.NewInputs(t.Context()))
		d.Set.Resolve()
		var got []string
		for _, p := range d.problems() {
			p, _, _ = strings.Cut(strings.ReplaceAll(p, filepath.Dir(file)+"/", ""), " | ")
			got = append(got, p)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	// One file that cannot be read, and one that can: what neither gives may be in the first.
	d := declare(t, "{need: , other: }", false)
	d.Give(vars.Given{Files: []string{"none.yaml", write(t, "other: 2\n", 0o600)}}, engine.NewInputs(t.Context()))
	d.Set.Resolve()
	if diff := cmp.Diff([]string{"--var-file none.yaml: no such file or directory"}, d.problems()); diff != "" {
		t.Error(diff)
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

// TestEnvironment: only the variable that is declared is looked up, and a fragment has none.
func TestEnvironment(t *testing.T) {
	var asked []string
	env := func(name string) (string, bool) { asked = append(asked, name); return "", false }
	d := declare(t, "{a: {env: A, default: 1}, b: 2}", false)
	d.Give(vars.Given{Env: env}, nil)
	d.Give(vars.Given{}, nil) // without an environment
	if diff := cmp.Diff([]string{"A"}, asked); diff != "" {
		t.Error(diff)
	}
	if got := fmt.Sprint(d.Set.Resolve()); got != "map[a:1 b:2]" {
		t.Errorf("got %s", got)
	}
	d = declare(t, "{a: {env: A, default: 1}}", true)
	want := []string{"plan.yaml:1:6: vars.a.env: a fragment reads no environment variable | declare it in the plan, and give it below with of the entry that includes the fragment"}
	if diff := cmp.Diff(want, d.problems()); diff != "" {
		t.Error(diff)
	}
}

// TestFragment: the values of a fragment's variables are put, or passed as outputs, of which
// the set knows nothing; the others are missing unless they have a default.
func TestFragment(t *testing.T) {
	d := declare(t, "{put: 1, passed: {required: true}, none: , typed: {type: list}, def: 2, of: \"${vars.passed}\", given: {required: true}}", true)
	five := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: "5"}
	d.Put("put", spec.Value{Node: five}, "step a: with.put", source.Position{File: "plan.yaml", Line: 9, Column: 9})
	d.Put("given", spec.Value{Node: five}, "step a: with.given", source.Position{File: "plan.yaml", Line: 9, Column: 9})
	d.Pass("passed")
	if diff := cmp.Diff([]string{"none", "typed"}, d.Missing()); diff != "" {
		t.Error(diff)
	}
	if again := d.Missing(); again != nil {
		t.Errorf("missing again: %v", again)
	}
	if diff := cmp.Diff(map[string]any{"put": 5, "def": 2, "given": 5}, d.Set.Resolve()); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"passed", "none", "typed", "of"} {
		if _, fault := d.value(name); fault == nil || fault.Message != "" {
			t.Errorf("%s: got %+v, want a fault that was reported", name, fault)
		}
	}
	if p := d.problems(); p != nil {
		t.Errorf("got %v", p)
	}
	d = declare(t, "{put: text}", true)
	d.Put("put", spec.Value{Node: five}, "step a: with.put", source.Position{File: "plan.yaml", Line: 1, Column: 2})
	d.Set.Resolve()
	if diff := cmp.Diff([]string{"plan.yaml:1:2: step a: with.put: want text, have the number 5 | write it in quotes"}, d.problems()); diff != "" {
		t.Error(diff)
	}
}

// TestItems: a variable that is given the value of an item is that item; a part of it is none.
func TestItems(t *testing.T) {
	d := declare(t, "{item: }", true)
	file := source.NewFile("plan.yaml", []byte("{name: {first: x}}"))
	n := source.Parse(file, "a plan", d.Collector.Add)
	item := &spec.Item{Name: `"a"`, Among: []*yaml.Node{n}}
	d.Put("item", spec.Value{Node: n, Item: item}, "step a: with.item", source.Position{})
	d.Set.Resolve()
	if v, fault := d.value("item"); fault != nil || v.Item != item || v.Node != n {
		t.Errorf("got %+v, %v", v, fault)
	}
	if v, fault := d.value("item.name"); fault != nil || v.Item != nil || v.Node != n.Content[1] {
		t.Errorf("of a part: got %+v, %v", v, fault)
	}
	if _, fault := d.value("item.nam"); fault == nil || fault.Message != `${vars.item.nam}: vars.item has no key "nam"` {
		t.Errorf("of a part that there is not: %+v", fault)
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
