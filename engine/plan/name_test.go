package plan_test

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/plan"
)

// TestNameOfVariables: the name is checked when its variables have their values, and
// references to it have the result.
func TestNameOfVariables(t *testing.T) {
	const body = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: \"shop-${vars.env}\"}\n" +
		"vars: {env: staging, n: 3, secret: {secret: true, default: hvs.abcdefgh}, plan: \"${plan.name}x\"}\n" +
		"steps: [{id: root, uses: pkiRoot, with: {commonName: \"Root of ${plan.name}\"}}]\n"
	in := plan.Input{File: "plan.yaml", Data: []byte(body), Kinds: kinds(), Vars: map[string]string{"env": "prod"}}
	p, err := plan.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Steps[0].Literal()["commonName"]; p.Name != "shop-prod" || got != "Root of shop-prod" || p.Vars["plan"] != "shop-prodx" {
		t.Errorf("name %s, common name %v, variable %v", p.Name, got, p.Vars["plan"])
	}
	for name, want := range map[string]string{
		"shop_${vars.env}":             `plan.yaml:3:18: metadata.name: "shop_prod" is not a name`,
		"${vars.n}":                    "plan.yaml:3:18: metadata.name: want text, have the number 3",
		"${vars.secret}":               "plan.yaml:3:18: metadata.name: is made of a secret",
		"${vars.plan}":                 "plan.yaml:4:82: vars.plan: ${plan.name}: the name of the plan is made of this value",
		"${steps.root.issuerID}":       "no output can be used here: the plan has its name before any step runs",
		"a-${vars.nothing}":            `there is no variable "nothing"`,
		"a-${each.key}":                "there is an item only inside a step with forEach",
		"a-${vars.env}-${plan.name}-b": "plan.yaml:3:33: metadata.name: ${plan.name}: the name of the plan is made of this value",
	} {
		in.Data = []byte(strings.Replace(body, "shop-${vars.env}", name, 1))
		if _, err := plan.Load(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}
