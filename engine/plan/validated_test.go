package plan_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// guarded is a kind with checks of its own.
type guarded struct {
	Vault connection `yaml:"vault"`
	First string     `yaml:"first"`
	Last  string     `yaml:"last"`
}

func (*guarded) Inspect(context.Context, *engine.Env) (out struct{}, edits []engine.Edit, err error) {
	return
}

func (g *guarded) Validate(p *engine.Problems) {
	if g.First == "" && g.Last == "" {
		p.Add("", "first or last is needed")
	}
	if g.First > g.Last {
		p.AddProblem(engine.Problem{Field: "first", Message: "comes after last", After: []string{"last"}})
	}
	if g.Vault.TLSServer == "bad" {
		p.AddProblem(engine.Problem{Field: "vault.serverName", Message: "is bad", Hint: "write a good one"})
	}
}

// TestValidated: the checks of a kind are made of inputs that are sound and known. A problem
// is where the input is written, and names it as that place does.
func TestValidated(t *testing.T) {
	kinds := append(kinds(), engine.NewKind("guarded", engine.DefaultPolicy(), func() *guarded { return new(guarded) }))
	for name, tt := range map[string]struct {
		steps string
		want  []string
	}{
		"sound":       {"- {id: a, uses: guarded, with: {first: a, last: b}}", []string{"<nil>"}},
		"no inputs":   {"- {id: a, uses: guarded}", []string{"plan.yaml:5:3: step a (guarded): first or last is needed"}},
		"null inputs": {"- {id: a, uses: guarded, with: }", []string{"plan.yaml:5:3: step a (guarded): first or last is needed"}},
		"not a mapping": {"- {id: a, uses: guarded, with: [a]}", []string{
			"plan.yaml:5:32: step a (guarded): want a mapping, have a list | it is a mapping; its keys are first, last and vault"}},
		"two inputs":                {"- {id: a, uses: guarded, with: {first: b, last: a}}", []string{"plan.yaml:5:40: step a (guarded): first: comes after last"}},
		"the other is wrong":        {"- {id: a, uses: guarded, with: {first: b, last: [a]}}", []string{"plan.yaml:5:49: step a (guarded): last: want text, have a list | write one value, without the list: a"}},
		"the input itself is wrong": {"- {id: a, uses: guarded, with: {first: [b], last: a}}", []string{"plan.yaml:5:40: step a (guarded): first: want text, have a list | write one value, without the list: b"}},
		"the other is not known":    {"- {id: a, uses: guarded, with: {first: b, last: \"${steps.i.version}\"}}\n- {id: i, uses: vaultInit}", []string{"<nil>"}},
		"all are not known":         {"- {id: a, uses: guarded, with: {last: \"${steps.i.version}\"}}\n- {id: i, uses: vaultInit}", []string{"<nil>"}},
		"a connection": {"- {id: a, uses: guarded, with: {last: a}}\n- {id: b, uses: guarded, with: {last: b}}\nconnections: {vault: {serverName: bad}}", []string{
			"plan.yaml:7:35: connections.vault.serverName: is bad | write a good one"}},
		"a connection of the step": {"- {id: a, uses: guarded, with: {last: a, vault: {serverName: bad}}}\nconnections: {vault: {serverName: good}}", []string{
			"plan.yaml:5:62: step a (guarded): vault.serverName: is bad | write a good one"}},
	} {
		_, err := plan.Load(plan.Input{Kinds: kinds, Connections: connections(), Data: []byte(head + "steps:\n" + tt.steps + "\n")})
		if d := cmp.Diff(tt.want, problemsOf(err)); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
}

// TestValidatedFromAFile: the problem of a value from a file of variables names its place.
func TestValidatedFromAFile(t *testing.T) {
	kinds := append(kinds(), engine.NewKind("guarded", engine.DefaultPolicy(), func() *guarded { return new(guarded) }))
	file := filepath.Join(t.TempDir(), "vars.yaml")
	if err := os.WriteFile(file, []byte("late: z\nother: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for first, want := range map[string]string{
		"${vars.late}":   "the value is written at " + file + ":1:7",
		"${vars.late}z":  "",
		"${vars.nested}": "the value is written at " + file + ":2:8",
		"${vars.own}":    "",
		"z":              "",
	} {
		_, err := plan.Load(plan.Input{File: "plan.yaml", VarFiles: []string{file}, Kinds: kinds, Connections: connections(), Data: []byte(head +
			"vars: {late: , other: , own: z, nested: \"${vars.other}\"}\nsteps:\n- {id: a, uses: guarded, with: {first: \"" + first + "\", last: a, vault: {address: \"${vars.late}${vars.nested}${vars.own}\"}}}\n")})
		var problems *source.Problems
		if !errors.As(err, &problems) || len(problems.List()) != 1 {
			t.Fatalf("%s: %v", first, err)
		}
		if p := problems.List()[0]; p.File != "plan.yaml" || p.Detail != want {
			t.Errorf("%s: %v, detail %q, want %q", first, p, p.Detail, want)
		}
	}
}
