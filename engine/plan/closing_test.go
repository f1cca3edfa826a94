package plan_test

import (
	"context"
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
	return plan.Load(plan.Input{
		File: "plan.yaml", Data: []byte(closingHead + steps), Vars: vars,
		Kinds: append(kinds(), engine.NewKind("open", engine.DefaultPolicy(), func() *opening { return &opening{End: "keep"} })),
	})
}

const opened = `
- {id: first, uses: open, with: {server: "${steps.token.version}", end: "${vars.end}"}}
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
	spec, err := s.Spec(func(string) (any, bool) { return initOutputs{Version: "v1"}, true })
	if err != nil || spec.(*ending).Server != "v1" {
		t.Errorf("spec %+v, %v", spec, err)
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
