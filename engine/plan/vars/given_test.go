package vars_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/vars"
)

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
