package plan_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	kyaml "sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine/plan"
)

// data is one text in the words in which YAML 1.1 and 1.2 differ.
const data = `octal: 0400
octal2: 0o400
octal08: 08
hex: 0x1F
bin: 0b11
under: 1_000
plus: +5
sci: 1e3
scibig: 1.5e7
dot: .5
ver: 1.10
words: [yes, no, on, off, y, n, Yes, NO, On, OFF, Y, N, TRUE, True, yEs]
tilde: ~
empty:
date: 2026-01-18
time: 2026-01-18T10:00:00Z
sexa: 22:22:22
quoted: ["0400", 'yes', "n"]
big: 9007199254740993
u64: 18446744073709551615
huge: 18446744073709551616
neg0: -0
ip: 1.2.3.4
block: |
  0400
  yes
base: &base {on: here, mode: 0644}
merged: {<<: *base, mode: 0600}
merge-last: {mode: 0600, <<: *base}
keys: {y: 1, 0400: 2, 1.10: 3, no: 4, 2026-01-18: 5, 8080: 6}
`

// TestInlineDataAsKubectl: the same text means the same inline, in a variable
// and in a file of variables, as sigs.k8s.io/yaml reads it.
func TestInlineDataAsKubectl(t *testing.T) {
	want, err := kyaml.YAMLToJSON([]byte(data))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "vars.yaml")
	indented := func(by string) string {
		return by + strings.ReplaceAll(strings.TrimSuffix(data, "\n"), "\n", "\n"+by) + "\n"
	}
	if err := os.WriteFile(file, []byte("outside:\n"+indented("  ")), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := plan.Load(plan.Input{File: "plan.yaml", VarFiles: []string{file}, Kinds: kinds(), Connections: connections(), Data: []byte(head + `
vars:
  outside: {type: map}
  inside:
` + indented("    ") + `
steps:
  - {id: inline, uses: helmInstall, with: {chart: x, values: {v: {` + "\n" + flow(data) + `}}}}
  - id: below
    uses: helmInstall
    with:
      chart: x
      values:
        v:
` + indented("          ") + `
  - {id: inside, uses: helmInstall, with: {chart: x, values: {v: "${vars.inside}"}}}
  - {id: outside, uses: helmInstall, with: {chart: x, values: {v: "${vars.outside}"}}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range p.Steps {
		spec, err := s.Spec(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(spec.(*chart).Values["v"])
		if err != nil {
			t.Fatal(err)
		}
		if s.ID == "inline" {
			continue // checked below: its text differs
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.ID, diff)
		}
		shown, err := json.Marshal(s.Literal()["values"].(map[string]any)["v"])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(shown)); diff != "" {
			t.Errorf("%s, as it is shown (-want +got):\n%s", s.ID, diff)
		}
	}
	for name, want := range map[string]string{"inside": string(want), "outside": string(want)} {
		got, err := json.Marshal(p.Vars[name])
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("vars.%s: %s", name, got)
		}
	}
	wantFlow, err := kyaml.YAMLToJSON([]byte("{" + flow(data) + "}"))
	if err != nil {
		t.Fatal(err)
	}
	spec, _ := p.Steps[0].Spec(nil)
	got, _ := json.Marshal(spec.(*chart).Values["v"])
	if diff := cmp.Diff(string(wantFlow), string(got)); diff != "" {
		t.Errorf("inside braces (-want +got):\n%s", diff)
	}
}

// flow returns the lines before the block scalar as they stand inside braces.
func flow(s string) string {
	s, _, _ = strings.Cut(s, "block:")
	return strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", ",\n")
}

func TestTextFromOutsideAsKubectl(t *testing.T) {
	for text, want := range map[string]any{"yes": true, "off": false, "N": false, "TRUE": true} {
		p, err := plan.Load(plan.Input{File: "plan.yaml", Kinds: kinds(), Connections: connections(), Vars: map[string]string{"flag": text}, Data: []byte(head + `
vars: {flag: {type: bool}}
steps: [{id: a, uses: helmInstall, when: "${vars.flag}", with: {chart: x, wait: "${vars.flag}", values: {v: "${vars.flag}"}}}]
`)})
		if err != nil {
			t.Fatal(err)
		}
		if p.Vars["flag"] != want {
			t.Errorf("--var flag=%s: got %v, want %v", text, p.Vars["flag"], want)
		}
	}
	p, err := plan.Load(plan.Input{File: "plan.yaml", Kinds: kinds(), Connections: connections(), Vars: map[string]string{"mode": "0400", "text": "0400", "word": "no"}, Data: []byte(head + `
vars: {mode: 1, text: x, word: x}
steps: [{id: a, uses: helmInstall, with: {chart: "${vars.word}", values: {v: "${vars.mode}"}}}]
`)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]any{"mode": 256, "text": "0400", "word": "no"}, p.Vars); diff != "" {
		t.Error(diff)
	}
}

// TestWordsWhereTextIsWanted: an input that takes text gets the word, and a
// value that was read as something else does not become text again.
func TestWordsWhereTextIsWanted(t *testing.T) {
	p := load(t, `
vars: {country: {type: string, default: NO}}
steps:
  - {id: n, uses: pkiRoot, with: {commonName: no, mount: "${vars.country}"}}
  - {id: y, uses: pkiRoot, needs: [n], with: {commonName: y}}
`)
	spec, err := p.Step("n").Spec(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := spec.(*root); got.CommonName != "no" || got.Mount != "NO" {
		t.Errorf("got %+v", got)
	}
	for _, tt := range []struct{ vars, with, want string }{
		{"{c: NO}", `{commonName: "${vars.c}"}`, "commonName: want text, and ${vars.c} is written NO and read as false\n"},
		{"{c: 0400}", `{commonName: "a${vars.c}"}`, "commonName: want text, and ${vars.c} is written 0400 and read as 256\n"},
		{"{c: 0400, d: 'x${vars.c}'}", `{commonName: "${vars.d}"}`, "vars.d: want text, and ${vars.c} is written 0400 and read as 256\n"},
		{"{}", `{commonName: 0400}`, "commonName: want text, have the number 0400 (256, as YAML 1.1 reads it)\n"},
		{"{p: {secret: true, default: 0400}}", `{commonName: x, vault: {token: "${vars.p}"}}`, "vault.token: want text, and ${vars.p} is a number in a form that changes when it is read\n"},
	} {
		_, err := plan.Load(plan.Input{File: "plan.yaml", Kinds: kinds(), Connections: connections(), Data: []byte(head + fmt.Sprintf("\nvars: %s\nsteps: [{id: a, uses: pkiRoot, with: %s}]\n", tt.vars, tt.with))})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s\ngot  %v\nwant %s", tt.vars, tt.with, err, tt.want)
		}
	}
}

func TestDataWithoutJSONNamesTheKey(t *testing.T) {
	_, err := plan.Load(plan.Input{File: "plan.yaml", Kinds: kinds(), Connections: connections(), Data: []byte(head + `
steps:
  - {id: a, uses: helmInstall, with: {chart: x, values: {s: {list: [.inf], nan: -.INF, on: 1, yes: 2}}}}
`)})
	if err == nil {
		t.Fatal("no problem")
	}
	for _, want := range []string{
		"values.s.list[0]: .inf has no form in JSON",
		"values.s.nan: -.INF has no form in JSON",
		`keys yes and on, in line 6, are both read as "true": write them in quotes`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}
