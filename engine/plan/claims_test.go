package plan_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
)

// setting brings things to a value, writes a file and reads others.
type setting struct {
	Of    []string      `yaml:"of"`
	Value string        `yaml:"value"`
	Out   engine.File   `yaml:"out"`
	In    []engine.File `yaml:"in" check:"exists"`
}

type settingOutputs struct {
	Name string `yaml:"name"`
}

func (*setting) Inspect(context.Context, *engine.Env) (out settingOutputs, edits []engine.Edit, err error) {
	return
}

func (s *setting) Claims(name string, unknown []string) (out []engine.Claim) {
	if engine.Known("of", unknown) && engine.Known("value", unknown) {
		for _, of := range s.Of {
			out = append(out, engine.Claim{Path: of, Want: name + s.Value, Field: "value"})
		}
	}
	return append(out, engine.FileClaim(s.Out, s.Of, "out", unknown)...)
}

// readSettings reads a plan in a new working directory, DIR, which has the file in.yml, a link
// to it, and a fragment.
func readSettings(t *testing.T, steps string) (*plan.Plan, error) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for name, text := range map[string]string{
		"in.yml":    "",
		"part.yaml": fragmentHead + "vars: {value: }\nsteps: [{id: s, uses: setting, with: {of: [x], value: \"${vars.value}\"}}]\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("in.yml", "link.yml"); err != nil {
		t.Fatal(err)
	}
	return plan.Load(plan.Input{
		File: "plan.yaml", Data: []byte(head + "steps:" + strings.ReplaceAll(steps, "DIR", dir)),
		Kinds: append(kinds(), engine.NewKind("setting", engine.DefaultPolicy(), func() *setting { return &setting{Value: "v"} })),
	})
}

// TestClaims: the claims of a plan are those of all steps that run for certain, as far as
// their inputs are known.
func TestClaims(t *testing.T) {
	p, err := readSettings(t, `
  - {id: a, uses: setting, with: {of: [x, y]}}
  - {id: b, uses: setting, forEach: {k: z}, with: {of: ["${each.value}"]}}
  - {id: maybe, uses: setting, when: '${steps.a.name} == "a"', with: {of: [conditional]}}
  - {id: never, uses: setting, when: false, with: {of: [conditional]}}
  - {id: empty, uses: setting, forEach: [], with: {of: [none]}}
  - {id: later, uses: setting, with: {of: [unknown], value: "${steps.a.name}"}}
  - {id: init, uses: vaultInit}
`)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, path := range []string{"x", "y", "z", "conditional", "none", "unknown"} {
		claims := p.Claims()
		if clashes := claims.Add("new", []engine.Claim{{Path: path, Want: "testv"}}); clashes != nil {
			t.Errorf("%s in the same state: %v", path, clashes)
		}
		for _, c := range claims.Add("new", []engine.Claim{{Path: path, Want: "other"}}) {
			got[path] = c.Step
		}
	}
	if d := cmp.Diff(map[string]string{"x": "a", "y": "a", "z": `b["k"]`}, got); d != "" {
		t.Error(d)
	}
}

// TestClaimsDiffer: a plan is invalid if two steps of it want one thing in different states,
// or if one writes a file that is an input of another. Each input has one problem.
func TestClaimsDiffer(t *testing.T) {
	const undo = "each would undo the other in every run: leave it to one of them, or write the same in both"
	const files = "give each of them a file of its own; with forEach, put ${each.key} into the name"
	for _, tt := range []struct {
		name, steps string
		want        []string
	}{
		{"different states", `
  - {id: a, uses: setting, with: {of: [pki/]}}
  - {id: b, uses: setting, with: {of: [pki/], value: w}}
`, []string{"plan.yaml:6:54: step b (setting): value: pki/ is what step a (setting) makes as well, and differently | " + undo + "; step a is at plan.yaml:5:5"}},
		{"the same state", `
  - {id: a, uses: setting, with: {of: [x]}}
  - {id: b, uses: setting, with: {of: [x], value: v}}
`, []string{"<nil>"}},
		{"alternatives", `
  - {id: ask, uses: setting}
  - {id: a, uses: setting, when: '${steps.ask.name} == "a"', with: {of: [x]}}
  - {id: b, uses: setting, when: '${steps.ask.name} != "a"', with: {of: [x], value: w}}
`, []string{"<nil>"}},
		{"no instances", `
  - {id: a, uses: setting, forEach: [], with: {of: [x]}}
  - {id: b, uses: setting, with: {of: [x], value: w}}
`, []string{"<nil>"}},
		{"two things by one input", `
  - {id: a, uses: setting, with: {of: [x, y]}}
  - {id: b, uses: setting, with: {of: [x, y], value: w}}
`, []string{"plan.yaml:6:54: step b (setting): value: x is what step a (setting) makes as well, and differently | " + undo + "; step a is at plan.yaml:5:5"}},
		{"two inputs", `
  - {id: a, uses: setting, with: {of: [x], out: o.json}}
  - {id: b, uses: setting, with: {of: [x, y], value: w, out: o.json}}
`, []string{
			"plan.yaml:6:54: step b (setting): value: x is what step a (setting) makes as well, and differently | " + undo + "; step a is at plan.yaml:5:5",
			"plan.yaml:6:62: step b (setting): out: o.json is a file of step a (setting) as well | " + files + "; step a is at plan.yaml:5:5",
		}},
		{"instances", `
  - {id: a, uses: setting, forEach: {k: v, l: v, m: w, o: u}, with: {of: [x], value: "${each.value}"}}
`, []string{`plan.yaml:5:86: step a["m"] (setting): value: x is what step a["k"] (setting) makes as well, and differently | the same with a["o"] | ` + undo + `; step a["k"] is at plan.yaml:5:5`}},
		{"steps of fragments", `
  - {id: a, include: part.yaml, with: {value: v}}
  - {id: b, include: part.yaml, with: {value: w}}
`, []string{"part.yaml:4:55: step b.s (setting): value: x is what step a.s (setting) makes as well, and differently | included at plan.yaml:6:22 | " + undo + "; step a.s is at part.yaml:4:9"}},
		{"a file that is an input", `
  - {id: first, uses: helmInstall, with: {chart: c, valuesFiles: [in.yml]}}
  - {id: second, uses: helmInstall, with: {chart: c, valuesFiles: [link.yml]}}
  - {id: a, uses: setting, with: {out: ./in.yml}}
`, []string{"plan.yaml:7:40: step a (setting): out: in.yml is an input of step first (helmInstall) as well, which is read before any step runs | name another file; step first is at plan.yaml:5:5"}},
		{"an input of the step itself, by a link", `
  - {id: a, uses: setting, with: {in: [link.yml], out: in.yml}}
`, []string{"plan.yaml:5:56: step a (setting): out: in.yml is an input of step a (setting) as well, which is read before any step runs | name another file; step a is at plan.yaml:5:5"}},
		{"an input of no instance", `
  - {id: reads, uses: helmInstall, forEach: [], with: {chart: c, valuesFiles: [in.yml]}}
  - {id: a, uses: setting, with: {out: in.yml}}
`, []string{"<nil>"}},
		{"a thing elsewhere with the path of an input", `
  - {id: reads, uses: helmInstall, with: {chart: c, valuesFiles: [in.yml]}}
  - {id: a, uses: setting, with: {of: [DIR/in.yml]}}
`, []string{"<nil>"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := readSettings(t, tt.steps)
			if d := cmp.Diff(tt.want, problemsOf(err)); d != "" {
				t.Error(d)
			}
		})
	}
}
