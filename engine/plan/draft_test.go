package plan_test

import (
	"errors"
	"testing"

	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A draft is the readable part of a plan, with all its problems; Load returns no plan
// then.
func TestDraftOfAnInvalidPlan(t *testing.T) {
	const text = head + `vars: {used: 1, unused: 2, inside: {default: "${vars.used}"}}
steps:
  - {id: init, uses: vaultInit, with: {invented: 1}}
  - {id: strange, uses: notAKind, with: {a: "${vars.inside}"}}
  - {id: root, uses: pkiRoot, needs: [init], with: {mount: pki}}
`
	in := plan.Input{File: "plan.yaml", Data: []byte(text), Kinds: kinds(), Connections: connections()}
	p, err := plan.Draft(in)
	var problems *source.Problems
	if !errors.As(err, &problems) || len(problems.List()) < 2 {
		t.Fatalf("problems %v", err)
	}
	if len(p.Steps) != 3 || p.Steps[0].Kind == nil || p.Steps[1].Kind != nil || string(p.Sources()[0].Text()) != text {
		t.Fatalf("plan %+v", p)
	}
	if spec, _ := p.Steps[2].Draft(); spec.(*root).Mount != "pki" {
		t.Errorf("inputs %+v", spec)
	}
	unused := p.Unused()
	if name := unused[source.Position{File: "plan.yaml", Line: 4, Column: 17}]; len(unused) != 1 || name != "unused" {
		t.Errorf("unused variables %v", unused)
	}
	if p, err := plan.Load(in); p != nil || !errors.As(err, &problems) {
		t.Errorf("Load returns %v, %v", p, err)
	}
	in.Data = []byte(head + "steps: [{id: init, uses: vaultInit}]")
	if p, err := plan.Draft(in); p == nil || err != nil {
		t.Errorf("a sound plan: %v, %v", p, err)
	}
	if p, err := plan.Draft(plan.Input{File: t.TempDir() + "/none.yaml", Kinds: kinds(), Connections: connections()}); p != nil || err == nil {
		t.Errorf("no file: %v, %v", p, err)
	}
}
