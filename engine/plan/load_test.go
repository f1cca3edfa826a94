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

const head = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: test}\n"

// load reads a plan that must be valid; the head is added.
func load(t *testing.T, body string) *plan.Plan {
	t.Helper()
	p, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(head + body), Kinds: kinds(), Connections: connections()})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func guide(t *testing.T) *plan.Plan {
	t.Helper()
	file := filepath.Join(plans, "valid-guide.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Load(input(file, data))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// outputs serves outputs from a map, as a run does.
func outputs(m map[string]any) func(string) (any, bool) {
	return func(id string) (any, bool) { v, ok := m[id]; return v, ok }
}

func guideOutputs() map[string]any {
	return map[string]any{
		"init": initOutputs{RootToken: engine.NewSecret("hvs.root"), Version: "1.20.4"},
		"root": &rootOutputs{Certificate: "PEM", Ready: true, Serials: []string{"4a", "e7"}, Port: 8443,
			Labels: map[string]string{"app": "x"}, Names: names{Common: "Root CA Lab"}},
	}
}

func TestNeeds(t *testing.T) {
	p := guide(t)
	got := map[string][]string{}
	for _, s := range p.Steps {
		got[s.ID] = s.Needs
	}
	want := map[string][]string{"vault": {}, "init": {"vault"}, "root": {"init"}, "site": {"root"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	var edges []string
	for _, e := range p.Edges() {
		edges = append(edges, fmt.Sprintf("%s -> %s %s %d:%d", e.From, e.To, e.Ref, e.Position.Line, e.Position.Column))
	}
	wantEdges := []string{
		"init -> vault  23:13",
		"root -> init  27:13",
		"site -> root ${steps.root.ready} 37:35",
	}
	if d := cmp.Diff(wantEdges, edges); d != "" {
		t.Error(d)
	}
	refs := p.Step("root").Refs
	wantRefs := []plan.Ref{{
		Step: "init", Output: "rootToken", Input: "vault.token", Text: "${steps.init.rootToken}", Secret: true,
		Position: source.Position{File: p.File, Line: 16, Column: 12},
	}}
	if d := cmp.Diff(wantRefs, refs); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{0, 1, 2, 3}, p.Graph().Order()); d != "" {
		t.Error(d)
	}
}

func TestPolicy(t *testing.T) {
	p := load(t, `
vars: {slow: 10m}
steps:
  - {id: default, uses: pkiRoot, with: {commonName: x}}
  - {id: unset, uses: vaultInit}
  - id: own
    uses: pkiRoot
    timeout: ${vars.slow}
    retry: {attempts: 0, delay: 1m, backoff: 1.5, jitter: 0}
    with: {commonName: x}
`)
	quick := engine.DefaultPolicy()
	quick.Attempts = 7
	want := map[string]engine.Policy{
		"default": quick,
		"unset":   engine.DefaultPolicy(),
		"own":     {Timeout: 600e9, Attempts: 0, Delay: 60e9, Backoff: 1.5, MaxDelay: 60e9, Jitter: 0},
	}
	for id, want := range want {
		if d := cmp.Diff(want, p.Step(id).Policy); d != "" {
			t.Errorf("%s: %s", id, d)
		}
	}
}

func TestNoTypedNil(t *testing.T) {
	p, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(head + "steps: [{id: a, uses: vaultInit}]"), Kinds: kinds(), Connections: connections()})
	if err != nil {
		t.Fatalf("%T %v", err, err)
	}
	if _, err := p.Select(nil, nil); err != nil {
		t.Fatalf("%T %v", err, err)
	}
	if _, err := p.Steps[0].Spec(outputs(nil)); err != nil {
		t.Fatalf("%T %v", err, err)
	}
}

func TestMissingFile(t *testing.T) {
	t.Chdir(plans)
	_, err := plan.Load(plan.Input{File: "valid-guid.yaml", Kinds: kinds(), Connections: connections()})
	const want = "valid-guid.yaml: no such file or directory\n  did you mean \"valid-guide.yaml\"?"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestProblemsUnwrap(t *testing.T) {
	_, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(head + "steps: [{id: a, uses: vaultInit, with: {shares: 0, x: 1}}]"), Kinds: kinds(), Connections: connections()})
	var one *source.Problem
	if !errors.As(err, &one) || one.Line != 4 {
		t.Errorf("got %v", err)
	}
	var all *source.Problems
	if !errors.As(err, &all) || len(all.List()) != 2 || len(all.Unwrap()) != 2 {
		t.Errorf("got %v", err)
	}
}

// TestSource: forms of files, and the places of problems in them.
func TestSource(t *testing.T) {
	const step = "steps: [{id: a, uses: vaultInit, with: {shares: 0}}]\n"
	long := head + "steps: [{id: a, uses: curlTLS, with: {trust: \"" + strings.Repeat("x", 300) + "\", url: 5, token: \"" + strings.Repeat("y", 300) + "\"}}]\n"
	for _, tt := range []struct{ name, text, want string }{
		{"byte order mark", "\uFEFF" + head + step, "plan.yaml:4:49: step a (vaultInit): shares: 0 is less than the minimum 1"},
		{"line breaks of Windows", strings.ReplaceAll(head+step, "\n", "\r\n"), "plan.yaml:4:49: "},
		{"line breaks of old", strings.ReplaceAll(head+step, "\n", "\r"), "plan.yaml:4:49: "},
		{"characters, not bytes", head + "steps: [{id: a, uses: curlTLS, with: {url: \"äöü€\", trust: 5}}]", "plan.yaml:4:59: "},
		{"a later line break of Unicode", head + "# \u2028\nsteps: 5\n", "plan.yaml:6:8: "},
		{"not UTF-8", head + "steps: \"\xff\"\n", "plan.yaml:4:9: not UTF-8 text"},
		{"a control character", head + "steps: \x1b[31m\n", "plan.yaml:4:1: not valid YAML: control characters are not allowed\n    3 | metadata: {name: test}\n  > 4 | steps: \uFFFD[31m\n"},
		{"empty", "", "plan.yaml:1:1: the plan is empty"},
		{"a list", "- a\n", "plan.yaml:1:1: want a plan, have a list"},
		{"a null document at the end", head + step + "---\n", "plan.yaml:4:49: "},
		{"a long line", long, "plan.yaml:4:355: step a (curlTLS): url: want text, have the number 5\n    3 | metadata: {name: test}\n  > 4 | …" +
			strings.Repeat("x", 67) + `", url: 5, token: "(secret)"}}]` + "\n      | " + strings.Repeat(" ", 76) + "^\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := plan.Load(plan.Input{Data: []byte(tt.text), Kinds: kinds(), Connections: connections()})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

// TestExplosions: a small plan cannot make a large one in memory.
func TestExplosions(t *testing.T) {
	double := func(format string) string {
		var b strings.Builder
		for i := 1; i < 40; i++ {
			fmt.Fprintf(&b, "  "+format+"\n", i, i-1, i-1)
		}
		return b.String()
	}
	const step = "steps: [{id: a, uses: vaultInit}]\n"
	for _, tt := range []struct{ name, text, want string }{
		{"aliases", "vars:\n  v0: &v0 [x, x]\n" + double("v%[1]d: &v%[1]d [*v%[2]d, *v%[2]d]"), "aliases repeat more than"},
		{"lists of variables", "vars:\n  v0: [x, x]\n" + double(`v%[1]d: ["${vars.v%[2]d}", "${vars.v%[2]d}"]`), "more than 1000000 values"},
		{"texts of variables", "vars:\n  v0: xx\n" + double(`v%[1]d: "${vars.v%[2]d}${vars.v%[2]d}"`), "the text is longer than"},
		{"nested lists", "vars:\n  v: " + strings.Repeat("[", 20000) + "\n", "not valid YAML"},
		{"nested conditions", "steps: [{id: a, uses: vaultInit, when: \"" + strings.Repeat("(", 20000) + "\"}]\n", "too many parentheses"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := tt.text
			if !strings.HasPrefix(text, "steps") {
				text += step
			}
			_, err := plan.Load(plan.Input{Data: []byte(head + text), Kinds: kinds(), Connections: connections()})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %.300v, want %s", err, tt.want)
			}
		})
	}
}
