package plan_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
)

// TestOutermostKeys: what is said about the keys of the document itself. A key that is meant
// by another word is not missing as well, and its value is checked if it can be.
func TestOutermostKeys(t *testing.T) {
	const begin = "apiVersion: ztplan.dev/v1\nkind: Plan\n"
	const step = "steps: [{id: a, uses: vaultInit}]\n"
	const badName = ` | use lower-case letters, digits and hyphens, beginning with a letter`
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"steps and nothing else": {"steps: [{id: a, uses: vaultInit, with: {shares: 50}}]\n", []string{
			`plan.yaml:1:1: apiVersion is missing | add apiVersion: ztplan.dev/v1`,
			`plan.yaml:1:1: kind is missing | add kind: Plan`,
			`plan.yaml:1:1: metadata is missing: a plan has a name | add metadata: {name: …}`,
			`plan.yaml:1:49: step a (vaultInit): shares: 50 is more than the maximum 10`,
		}},
		"kind and nothing else": {"kind: Plan\n", []string{
			`plan.yaml:1:1: apiVersion is missing | add apiVersion: ztplan.dev/v1`,
			`plan.yaml:1:1: metadata is missing: a plan has a name | add metadata: {name: …}`,
			`plan.yaml:1:1: steps are missing: a plan has at least one | add steps: [{id: …, uses: …}]`,
		}},
		"version and nothing else": {"apiVersion: ztplan.dev/v1\n", []string{
			`plan.yaml:1:1: kind is missing | add kind: Plan`,
			`plan.yaml:1:1: metadata is missing: a plan has a name | add metadata: {name: …}`,
			`plan.yaml:1:1: steps are missing: a plan has at least one | add steps: [{id: …, uses: …}]`,
		}},
		"other words": {begin + "name: X\njobs: {a: {uses: x}}\n", []string{
			`plan.yaml:3:1: unknown key "name" | write metadata: {name: …}`,
			`plan.yaml:4:1: unknown key "jobs" | write steps: a list, each with an id`,
		}},
		"other words for the same": {begin + "Metadata: {name: X}\ntasks: [{id: a, uses: vaultInit, with: {shares: 50}}]\nvariables: {b: {type: x}}\n", []string{
			`plan.yaml:3:1: unknown key "Metadata" | did you mean "metadata"?`,
			`plan.yaml:3:18: metadata.name: "X" is not a name` + badName,
			`plan.yaml:4:1: unknown key "tasks" | write steps instead`,
			`plan.yaml:4:49: step a (vaultInit): shares: 50 is more than the maximum 10`,
			`plan.yaml:5:1: unknown key "variables" | write vars instead`,
			`plan.yaml:5:23: vars.b.type: "x" is not one of string, number, bool, list, map`,
		}},
		"keys without a value": {head + "vars:\nconnections:\n" + step, nil},
		"items that are no steps": {head + "steps: [x, [1], {id: a, uses: vaultInit, with: {shares: 50}}, ~]\n", []string{
			`plan.yaml:4:9: steps[0]: want a step, have the text "x" | write id: …, uses: …`,
			`plan.yaml:4:12: steps[1]: want a step, have a list | write id: …, uses: …`,
			`plan.yaml:4:57: step a (vaultInit): shares: 50 is more than the maximum 10`,
			`plan.yaml:4:63: steps[3]: want a step, have nothing | write id: …, uses: …`,
		}},
		"a step without an id": {head + "steps: [{uses: vaultInit, timeout: 1, with: {shares: 50}}, {when: 1, with: {a: \"${vars.b}\"}}]\n", []string{
			`plan.yaml:4:9: steps[0]: id is missing | add id: …`,
			`plan.yaml:4:36: steps[0]: timeout: want a duration, have the number 1 | add a unit: 1s, 1m, 1h or 1d`,
			`plan.yaml:4:54: steps[0]: shares: 50 is more than the maximum 10`,
			`plan.yaml:4:60: steps[1]: id is missing | add id: …`,
			`plan.yaml:4:60: steps[1]: uses is missing | the kinds are curlTLS, helmInstall, pkiRoot and vaultInit`,
			`plan.yaml:4:67: steps[1]: when: want a condition, have the number 1 | such as: when: ${vars.env} == "prod"`,
			`plan.yaml:4:81: steps[1]: ${vars.b}: there is no variable "b" | declare it: vars: {b: value}`,
		}},
		"a name of nothing":  {begin + "metadata: {name: }\n" + step, []string{`plan.yaml:3:18: metadata.name: want text, have nothing`}},
		"an empty name":      {begin + "metadata: {name: \"\"}\n" + step, []string{`plan.yaml:3:18: metadata.name: "" is not a name` + badName}},
		"a number as a name": {begin + "metadata: {name: 7}\n" + step, []string{`plan.yaml:3:18: metadata.name: want text, have the number 7 | write it in quotes: "7"`}},
		"a variable that is no name": {begin + "metadata: {name: \"${vars.n}\"}\nvars: {n: \"\"}\n" + step, []string{
			`plan.yaml:3:18: metadata.name: "" is not a name` + badName,
		}},
	} {
		_, err := plan.Load(plan.Input{Data: []byte(tt.text), Kinds: kinds(), Connections: connections()})
		if tt.want == nil {
			tt.want = []string{"<nil>"}
		}
		if d := cmp.Diff(tt.want, problemsOf(err)); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}

// TestByteOrderMark: the mark that some editors write before a text is no part of it, in
// each of the files of a plan: columns and excerpts are those of the text.
func TestByteOrderMark(t *testing.T) {
	const mark = "\uFEFF"
	dir := t.TempDir()
	in := plan.Input{File: filepath.Join(dir, "plan.yaml"), Kinds: kinds(), VarFiles: []string{filepath.Join(dir, "vars.yaml")}}
	for name, text := range map[string]string{
		"plan.yaml": mark + "apiVersion: ztplan.dev/v9\nkind: Plan\nmetadata: {name: x}\nsteps: [{id: a, include: part.yaml}]\n",
		"part.yaml": mark + "apiVersion: ztplan.dev/v9\nkind: Fragment\nsteps: [{id: a, uses: vaultInit}]\n",
		"vars.yaml": mark + "other: 1\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := plan.Draft(in)
	if err == nil || strings.Contains(err.Error(), mark) || strings.Contains(err.Error(), "\uFFFD") {
		t.Errorf("got %v", err)
	}
	want := []string{
		`plan.yaml:1:13: apiVersion: want ztplan.dev/v1, have the text "ztplan.dev/v9" | this ztplan reads ztplan.dev/v1; another release may read ztplan.dev/v9`,
		`part.yaml:1:13: apiVersion: want ztplan.dev/v1, have the text "ztplan.dev/v9" | this ztplan reads ztplan.dev/v1; another release may read ztplan.dev/v9`,
		`vars.yaml:1:1: the plan has no variable "other"`,
	}
	if d := cmp.Diff(want, problemsOf(err)); d != "" {
		t.Error(d)
	}
	if text := string(p.Sources()[0].Text()); !strings.HasPrefix(text, "apiVersion") {
		t.Errorf("the source is %q", text)
	}
}

// TestUnreadablePlan: another file is suggested for one that is not there, and for no other.
func TestUnreadablePlan(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"plan.yml", "empty"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile("plan.yaml.txt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"":                "plan.yaml: no such file or directory\n  did you mean \"plan.yml\"?",
		"plan.yml":        "plan.yml: is a directory",
		"empty/plan.yaml": "empty/plan.yaml: no such file or directory",
		"none/plan.yaml":  "none/plan.yaml: no such file or directory",
	} {
		if _, err := plan.Load(plan.Input{File: file}); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %s", file, err, want)
		}
	}
}

// TestInputsAreReadOnce: the plan is what its Inputs have read, and they keep the bytes that
// were checked for all that reads them later.
func TestInputsAreReadOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plan.yaml")
	write := func(chart string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(head+"steps: [{id: a, uses: helmInstall, with: {chart: "+chart+"}}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := func(p *plan.Plan) string {
		inputs, _ := p.Step("a").Draft()
		return inputs.(*chart).Name
	}
	write("first")
	inputs := engine.NewInputs(t.Context())
	if _, err := inputs.ReadGiven(file); err != nil {
		t.Fatal(err)
	}
	write("second")
	p, err := plan.Load(plan.Input{File: file, Inputs: inputs, Kinds: kinds()})
	if err != nil {
		t.Fatal(err)
	}
	if p.Inputs != inputs || name(p) != "first" {
		t.Errorf("with what was read before: %s", name(p))
	}
	if p, err = plan.Load(plan.Input{File: file, Kinds: kinds()}); err != nil {
		t.Fatal(err)
	}
	write("third")
	data, err := p.Inputs.ReadGiven(file)
	if err != nil || name(p) != "second" || !strings.Contains(string(data), "second") {
		t.Errorf("%s, and later %s, %v", name(p), data, err)
	}
}

// TestConnectionsProblemIsOne: a problem with a connection is said once, and of no step.
func TestConnectionsProblemIsOne(t *testing.T) {
	_, err := plan.Load(plan.Input{Kinds: kinds(), Connections: connections(), Data: []byte(head + `
connections: {vault: {token: [1], if: x, serverName: "${steps.none.a}"}, kubernetes: {when: x}}
steps:
  - {id: c, uses: pkiRoot, with: {commonName: x}}
  - {id: o, uses: pkiRoot, forEach: [x, y], with: {commonName: x}}
  - {id: n, uses: vaultInit}
  - {id: none, uses: noKind}
`)})
	want := []string{
		`plan.yaml:5:30: connections.vault.token: want a secret, have a list`,
		`plan.yaml:5:35: connections.vault: unknown key "if" | the keys here are address, caFile, serverName, service and token`,
		`plan.yaml:5:87: connections.kubernetes: unknown key "when" | the keys here are context and kubeconfig`,
		`plan.yaml:10:22: step none: there is no kind "noKind" | the kinds are curlTLS, helmInstall, pkiRoot and vaultInit`,
	}
	if d := cmp.Diff(want, problemsOf(err)); d != "" {
		t.Error(d)
	}
}
