package plan_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
)

// opening is a kind with a closing step.
type opening struct {
	Server string        `yaml:"server"`
	End    string        `yaml:"end" check:"oneof=keep|close"`
	Token  engine.Secret `yaml:"token"`
}

type openingOutputs struct {
	End string `yaml:"end"`
}

func (*opening) Inspect(context.Context, *engine.Env) (out openingOutputs, edits []engine.Edit, err error) {
	return
}

func (o *opening) Closing() (string, *engine.Kind) {
	if o.End != "close" {
		return "end", nil
	}
	return "end", engine.NewKind("open", engine.DefaultPolicy(), func() *ending { return &ending{} })
}

type ending struct {
	opening `yaml:",inline"`
}

func (*ending) Inspect(context.Context, *engine.Env) (out struct{}, edits []engine.Edit, err error) {
	return
}

const closingHead = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\nvars: {end: close}\nsteps:\n"

func closingPlan(t *testing.T, steps string, vars map[string]string) (*plan.Plan, error) {
	t.Helper()
	return plan.Load(closingInput(steps, vars))
}

func closingInput(steps string, vars map[string]string) plan.Input {
	return plan.Input{
		File: "plan.yaml", Data: []byte(closingHead + steps), Vars: vars,
		Kinds: append(kinds(), engine.NewKind("open", engine.DefaultPolicy(), func() *opening { return &opening{End: "keep"} })),
	}
}

const opened = `
- {id: first, uses: open, timeout: 7s, with: {server: "${steps.token.version}", end: "${vars.end}"}}
- {id: token, uses: vaultInit}
- {id: chart, uses: helmInstall, needs: [first], with: {chart: c}}
- {id: site, uses: curlTLS, with: {url: u}}
`

func TestClosingStep(t *testing.T) {
	p, err := closingPlan(t, opened, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Step("first.end")
	if s == nil || s.Closes != "first" || s.Kind.Name != "open" || p.Steps[len(p.Steps)-1] != s {
		t.Fatalf("closing step: %+v", s)
	}
	needs := slices.Sorted(slices.Values(s.Needs))
	if diff := cmp.Diff([]string{"chart", "first", "site", "token"}, needs); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"token"}, s.DataNeeds()); diff != "" {
		t.Error(diff)
	}
	if len(s.Explicit) != 0 || s.Position.Line != 7 {
		t.Errorf("explicit %v, position %v", s.Explicit, s.Position)
	}
	if d := cmp.Diff(engine.DefaultPolicy(), s.Policy); d != "" {
		t.Errorf("it is not tried as its own kind is: %s", d)
	}
	if d := cmp.Diff([]string{"first", "token", "chart", "site", "first.end"}, p.IDs()); d != "" {
		t.Error(d)
	}
	spec, err := s.Spec(func(string) (any, bool) { return initOutputs{Version: "v1"}, true })
	if err != nil || spec.(*ending).Server != "v1" {
		t.Errorf("spec %+v, %v", spec, err)
	}
}

// TestClosingStepOfFragment: a step of a fragment has its closing step below the entry. It
// waits for all steps of the plan, not only for those of the fragment, and the condition of
// the entry holds for it.
func TestClosingStepOfFragment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "part.yaml")
	const fragment = fragmentHead + "vars: {end: {required: true}, server: }\nsteps:\n" +
		"- {id: first, uses: open, with: {server: \"${vars.server}\", end: \"${vars.end}\"}}\n- {id: beside, uses: helmInstall, with: {chart: c}}\n"
	if err := os.WriteFile(file, []byte(fragment), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := closingPlan(t, `
- {id: token, uses: vaultInit}
- id: in
  include: `+file+`
  forEach: {a: close, b: keep}
  when: ${steps.token.version} != "v0"
  with: {end: "${each.value}", server: "${steps.token.version}"}
- {id: site, uses: curlTLS, with: {url: u}}
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := p.Steps[len(p.Steps)-1]
	if last.ID != `in["a"].first.end` || last.Closes != `in["a"].first` || p.Step(`in["b"].first.end`) != nil {
		t.Fatalf("steps are %v, the last closes %q", ids(p.Steps), last.Closes)
	}
	want := []string{`in["a"].beside`, `in["a"].first`, `in["b"].beside`, `in["b"].first`, "site", "token"}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(last.Needs))); diff != "" {
		t.Error(diff)
	}
	refs := make(map[string]int)
	for _, r := range last.Refs {
		refs[r.Input+": "+r.Text]++
	}
	if d := cmp.Diff(map[string]int{"when: ${steps.token.version}": 1, "server: ${vars.server}": 1}, refs); d != "" {
		t.Error(d)
	}
	for version, runs := range map[string]bool{"v1": true, "v0": false} {
		known := outputs(map[string]any{"token": initOutputs{Version: version}})
		if ok, err := last.When.Eval(known); err != nil || ok != runs {
			t.Errorf("with version %s it runs: %t, %v", version, ok, err)
		}
		if spec, err := last.Spec(known); err != nil || spec.(*ending).Server != version {
			t.Errorf("spec %+v, %v", spec, err)
		}
	}
}

func TestNoClosingStep(t *testing.T) {
	p, err := closingPlan(t, opened, map[string]string{"end": "keep"})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Steps) != 4 || p.Step("first.end") != nil {
		t.Errorf("%d steps", len(p.Steps))
	}
}

// Nothing can come after the last step, and the input that decides about it is known
// when the plan is read.
func TestClosingProblems(t *testing.T) {
	for name, c := range map[string]struct{ steps, want string }{
		"needed":                   {opened + "- {id: late, uses: helmInstall, needs: [first.end], with: {chart: c}}", `there is no step "first.end"`},
		"undecided":                {"- {id: a, uses: open}\n- {id: b, uses: open, with: {end: \"${steps.a.end}\"}}", "it decides which steps the plan has"},
		"wrong input is said once": {"- {id: a, uses: open, with: {end: close, serve: x}}", `unknown key "serve"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := closingPlan(t, c.steps, nil)
			if err == nil || strings.Count(err.Error(), c.want) != 1 {
				t.Errorf("error is %v, want %q once", err, c.want)
			}
		})
	}
}

// A step without an id has no closing step: it would have no id either.
func TestClosingStepWithoutID(t *testing.T) {
	p, err := plan.Draft(closingInput("- {uses: open, with: {end: close}}", nil))
	if err == nil || len(p.Steps) != 1 {
		t.Errorf("steps %q, %v", ids(p.Steps), err)
	}
}

// Outputs that are foreseen are checked in the inputs of a step, and not again in those of
// its closing step.
func TestClosingStepForeseen(t *testing.T) {
	in := closingInput(`
- {id: a, uses: login, with: {roles: [r]}}
- {id: first, uses: open, with: {server: "${steps.a.roles[1]}", end: close}}
`, nil)
	in.Kinds = append(in.Kinds, logins())
	_, err := plan.Load(in)
	want := []string{"plan.yaml:8:43: step first (open): server: ${steps.a.roles[1]}: output roles has 1 items, so no [1]"}
	if d := cmp.Diff(want, problemsOf(err)); d != "" {
		t.Error(d)
	}
}

func TestSelectClosingStep(t *testing.T) {
	p, err := closingPlan(t, opened, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		only, skip []string
		left       string
	}{
		"all":            {nil, nil, ""},
		"only another":   {[]string{"chart"}, nil, "not among --only and what that needs"},
		"only itself":    {[]string{"first.end"}, nil, ""},
		"without itself": {nil, []string{"first.end"}, "--skip"},
		"without origin": {nil, []string{"first"}, "belongs to first, and first is left out"},
		"without others": {nil, []string{"site"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sel, err := p.Select(c.only, c.skip)
			if err != nil {
				t.Fatal(err)
			}
			if got := sel.Left["first.end"]; got != c.left {
				t.Errorf("left out: %q, want %q", got, c.left)
			}
		})
	}
}
