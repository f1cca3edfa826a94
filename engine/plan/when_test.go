package plan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
)

func TestWhen(t *testing.T) {
	const body = `
vars: {env: prod, count: 3, on: true, off: false}
steps:
  - {id: root, uses: pkiRoot, with: {commonName: x}}
  - id: next
    uses: pkiRoot
    when: %s
    with: {commonName: x}
`
	out := guideOutputs()
	for _, tt := range []struct {
		when        string
		want, known bool
	}{
		{`true`, true, true},
		{`"false"`, false, true},
		{`${vars.on}`, true, true},
		{`'!${vars.on}'`, false, true},
		{`'! ! ${vars.on}'`, true, true},
		{`${vars.env} == "prod"`, true, true},
		{`${vars.env} != 'prod'`, false, true},
		{`"prod" == ${vars.env}`, true, true}, // YAML ends the scalar after "prod"
		{`${vars.count} == 3 && ${vars.on}`, true, true},
		{`${vars.count} == 3.0`, true, true},
		{`${vars.on} == true`, true, true},
		{`${vars.off} || ${vars.on} && ${vars.off}`, false, true},
		{`(${vars.off} || ${vars.on}) && !${vars.off}`, true, true},
		{`${plan.name} == "test"`, true, true},
		{`${steps.root.ready}`, true, false},
		{`${steps.root.port} == 8443 && ${vars.env} == "prod"`, true, false},
		{`${steps.root.certificate} == "other"`, false, false},
		{`${steps.root.labels.app} == ${vars.env}`, false, false},
		{`${steps.root.serials[1]} == "e7"`, true, false},
	} {
		t.Run(tt.when, func(t *testing.T) {
			when := tt.when
			if strings.HasPrefix(when, `"prod"`) {
				when = "'" + when + "'"
			}
			s := load(t, fmt.Sprintf(body, when)).Step("next")
			if got, known := s.When.Known(); known != tt.known || known && got != tt.want {
				t.Errorf("Known = %v, %v; want %v, %v", got, known, tt.want, tt.known)
			}
			got, err := s.When.Eval(outputs(out))
			if err != nil || got != tt.want {
				t.Errorf("Eval = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	s := load(t, fmt.Sprintf(body, "${steps.root.ready}")).Step("next")
	var missing *plan.MissingOutputsError
	if _, err := s.When.Eval(outputs(nil)); !errors.As(err, &missing) {
		t.Errorf("without outputs: %v", err)
	}
	s = load(t, fmt.Sprintf(body, `${steps.root.labels.nope} == "x"`)).Step("next")
	if _, err := s.When.Eval(outputs(out)); !errors.Is(err, engine.ErrPermanent) {
		t.Errorf("unknown key: %v", err)
	}
}

// TestWhenAgain: finding out a condition again and again leaves the step as it is. One that
// depends on no step has its value without any outputs.
func TestWhenAgain(t *testing.T) {
	p := load(t, `
vars: {on: true}
steps:
  - {id: root, uses: pkiRoot, with: {commonName: x}}
  - {id: next, uses: curlTLS, when: "${steps.root.ready}", with: {url: "${steps.root.certificate}"}}
  - {id: known, uses: curlTLS, when: "${vars.on}", with: {url: "${steps.root.certificate}"}}
`)
	next, refs := p.Step("next"), len(p.Step("next").Refs)
	for range 2 {
		if ok, err := next.When.Eval(outputs(guideOutputs())); !ok || err != nil {
			t.Error(ok, err)
		}
	}
	if len(next.Refs) != refs || len(p.Edges()) != 2 {
		t.Errorf("%d references, of which there were %d, and %d edges", len(next.Refs), refs, len(p.Edges()))
	}
	if ok, err := p.Step("known").When.Eval(outputs(nil)); !ok || err != nil {
		t.Errorf("a condition that depends on no step: %v, %v", ok, err)
	}
}

// TestOuterWhen: the conditions of entries come before that of a step, the outermost first,
// and what follows one that does not hold is not found out.
func TestOuterWhen(t *testing.T) {
	p, err := including(t, `
steps:
  - {id: a, uses: vaultInit}
  - {id: b, uses: vaultInit}
  - {id: out, include: out.yaml, when: "${steps.a.count} == 1", needs: [a], with: {v: "${steps.b.version}"}}
`, map[string]string{
		"out.yaml": "vars: {v: }\nsteps:\n  - {id: x, uses: vaultInit}\n  - {id: in, include: in.yaml, when: \"${vars.v} == \\\"1\\\"\", needs: [x], with: {v: \"${vars.v}\"}}\n",
		"in.yaml":  "vars: {v: }\nsteps:\n  - {id: y, uses: vaultInit}\n  - {id: s, uses: curlTLS, when: \"${vars.v} != \\\"2\\\"\", needs: [y], with: {url: \"${vars.v}\"}}\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := p.Step("out.in.s")
	var sources []string
	for c := s.When; c != nil; c = c.Outer() {
		sources = append(sources, c.Source)
	}
	if d := cmp.Diff([]string{`${vars.v} != "2"`, `${vars.v} == "1"`, "${steps.a.count} == 1"}, sources); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"a", "out.x", "out.in.y"}, s.Explicit); d != "" {
		t.Error(d)
	}
	for _, tt := range []struct {
		count   int
		version string
		want    bool
	}{{1, "1", true}, {1, "2", false}, {0, "1", false}} {
		known := outputs(map[string]any{"a": initOutputs{Count: tt.count}, "b": initOutputs{Version: tt.version}})
		if ok, err := s.When.Eval(known); ok != tt.want || err != nil {
			t.Errorf("%+v: got %v, %v", tt, ok, err)
		}
	}
	var missing *plan.MissingOutputsError
	if ok, err := s.When.Eval(outputs(nil)); ok || !errors.As(err, &missing) || missing.Step != "a" {
		t.Errorf("without outputs: %v, %v", ok, err)
	}
}
