package plan_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
)

// login foresees names and, against the rules, a secret.
type login struct {
	Mount string        `yaml:"mount" check:"oneof=a|b"`
	Roles []string      `yaml:"roles"`
	Next  any           `yaml:"next"`
	Token engine.Secret `yaml:"token"`
}

type loginOutputs struct {
	Path   string        `yaml:"path"`
	Roles  []string      `yaml:"roles"`
	Serial string        `yaml:"serial"`
	Token  engine.Secret `yaml:"token"`
}

func (*login) Inspect(context.Context, *engine.Env) (out loginOutputs, edits []engine.Edit, err error) {
	return
}

func (l *login) Foresee(name string, unknown []string) any {
	out := loginOutputs{Roles: l.Roles, Token: engine.NewSecret("never this one")}
	if engine.Known("mount", unknown) {
		out.Path = name + "/" + l.Mount
	}
	return out
}

func readLogins(text string) (*plan.Plan, error) {
	return plan.Load(plan.Input{
		Data:  []byte("apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\n" + text),
		Kinds: append(kinds(), logins()),
	})
}

func logins() *engine.Kind {
	return engine.NewKind("login", engine.DefaultPolicy(), func() *login { return &login{Mount: "a"} })
}

// An output that follows from inputs is a value when the plan is read, also through a
// chain of steps and against the order of the file. Outputs that only a run knows stay
// unknown.
func TestForesee(t *testing.T) {
	p, err := readLogins(`vars: {mount: {default: b}}
steps:
  - {id: last, uses: login, with: {next: {path: "${steps.middle.path}", text: "${steps.middle.roles[0]}/${steps.first.path}"}}}
  - {id: middle, uses: login, with: {roles: ["${steps.first.roles[1]}"], next: "${steps.first.serial}"}}
  - {id: first, uses: login, with: {mount: "${vars.mount}", roles: [x, y], next: "${steps.each[0].path}"}}
  - {id: each, uses: login, forEach: [a, b], with: {mount: "${each.value}"}}
  - {id: mixed, uses: login, with: {next: ["${steps.first.serial}", "${steps.first.path} ${steps.first.serial}", "${steps.first.roles}"]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]struct {
		next    any
		unknown []string
	}{
		"last":   {map[string]any{"path": "p/a", "text": "y/p/b"}, nil},
		"middle": {nil, []string{"next"}},
		"first":  {"p/a", nil},
		"mixed":  {[]any{nil, nil, []any{"x", "y"}}, []string{"next[0]", "next[1]"}},
	} {
		draft, unknown := p.Step(id).Draft()
		if d := cmp.Diff(want.next, draft.(*login).Next); d != "" || !slices.Equal(unknown, want.unknown) {
			t.Errorf("%s: unknown %v, next (-want +got):\n%s", id, unknown, d)
		}
	}
	if got := p.Step("last").Needs; !slices.Equal(got, []string{"middle", "first"}) {
		t.Errorf("last needs %v: a value that is known takes no step out of the graph", got)
	}
	if refs := p.Step("last").Refs; len(refs) != 3 {
		t.Errorf("last has the references %v", refs)
	}
	run := func(string) (any, bool) {
		return loginOutputs{Path: "of the run", Roles: []string{"r"}, Serial: "1"}, true
	}
	if in, err := p.Step("last").Spec(run); err != nil || in.(*login).Next.(map[string]any)["path"] != "of the run" {
		t.Errorf("a run takes the outputs that there are: %v, %v", in, err)
	}
}

// TestForeseenNot: an output that is empty, or a secret, is not foreseen, and what a plan
// writes is shown as written.
func TestForeseenNot(t *testing.T) {
	for _, tt := range []struct{ a, next, unknown, literal string }{
		{`{roles: [x]}`, `next: "${steps.a.roles[0]}"`, "[]", "map[next:(known after a)]"},
		{`{roles: [""]}`, `next: "${steps.a.roles[0]}"`, "[next]", "map[next:(known after a)]"},
		{`{}`, `next: "${steps.a.roles[0]}"`, "[next]", "map[next:(known after a)]"},
		{`{}`, `roles: "${steps.a.roles}"`, "[roles]", "map[roles:(known after a)]"},
		{`{}`, `next: "${steps.a.serial}"`, "[next]", "map[next:(known after a)]"},
		{`{}`, `token: "${steps.a.token}"`, "[token]", "map[token:(known after a)]"},
		{`{}`, `token: "${steps.a.path}"`, "[]", "map[token:(known after a)]"},
	} {
		p, err := readLogins("steps: [{id: a, uses: login, with: " + tt.a + "}, {id: b, uses: login, with: {" + tt.next + "}}]\n")
		if err != nil {
			t.Fatal(err)
		}
		draft, unknown := p.Step("b").Draft()
		if got := fmt.Sprint(unknown); got != tt.unknown || strings.Contains(draft.(*login).Token.Reveal(), "never") {
			t.Errorf("%+v: got %s", tt, got)
		}
		if got := fmt.Sprint(p.Step("b").Literal()); got != tt.literal {
			t.Errorf("%+v: got %s", tt, got)
		}
	}
}

// A foreseen value is checked as a written one is, each problem once. Where outputs are not
// allowed, a foreseen one is not either.
func TestForeseenProblems(t *testing.T) {
	for text, want := range map[string]string{
		`{id: a, uses: login, with: {roles: [c]}}, {id: b, uses: login, with: {mount: "${steps.a.roles[0]}"}}`:                  `step b (login): mount: "c" is not one of a, b`,
		`{id: a, uses: login, with: {roles: [c]}}, {id: b, uses: login, with: {next: "${steps.a.roles[1]}"}}`:                   `${steps.a.roles[1]}: output roles has 1 items, so no [1]`,
		`{id: a, uses: login, with: {mount: c}}, {id: b, uses: login, with: {mount: c, next: "${steps.a.path}"}}`:               `step b (login): mount: "c" is not one of a, b`,
		`{id: a, uses: login, with: {mount: c, roles: [d]}}, {id: b, uses: login, with: {mount: "${steps.a.roles[0]}"}}`:        `is not one of a, b`,
		`{id: a, uses: login}, {id: b, uses: login, with: {mount: c, roles: ["${steps.a.roles[1]}"]}}`:                          `step b (login)`,
		`{id: a, uses: login, with: {roles: [c]}}, {id: b, uses: login, with: {mount: c, next: "${steps.a.roles[1]}"}}`:         `step b (login)`,
		`{id: a, uses: login, with: {roles: [c]}}, {id: b, uses: login, forEach: [x, z], with: {mount: "${steps.a.roles[0]}"}}`: "the same with b[1]",
		`{id: a, uses: login}, {id: b, uses: login, with: {next: "${steps.a.token}"}}`:                                          `${steps.a.token} is a secret`,
		`{id: a, uses: login, with: {roles: [c]}}, {id: b, uses: login, forEach: "${steps.a.roles}"}`:                           `no output can be used here`,
		`{id: a, uses: login, with: {mount: b}}, {id: b, uses: login, timeout: "${steps.a.path}"}`:                              `no output can be used here`,
		`{id: a, uses: login, with: {next: "${steps.b.path}"}}, {id: b, uses: login, with: {next: "${steps.a.path}"}}`:          `steps need each other in a circle`,
	} {
		_, err := readLogins("steps: [" + text + "]\n")
		if err == nil {
			t.Errorf("%s: no problem", text)
			continue
		}
		if n := strings.Count(err.Error(), want); n != 1 {
			t.Errorf("%s: %d times %q in:\n%v", text, n, want, err)
		}
	}
}
