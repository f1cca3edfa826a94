package plan_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine/plan"
)

// TestCircle: a circle is shown by the needs that make it, among others of the same steps,
// and once for all instances.
func TestCircle(t *testing.T) {
	_, err := plan.Load(plan.Input{Kinds: kinds(), Data: []byte(head + `
steps:
  - {id: first, uses: vaultInit}
  - {id: a, uses: curlTLS, needs: [first, b], with: {url: x}}
  - {id: b, uses: curlTLS, needs: first, with: {url: "${steps.first.version}${steps.a.serial}"}}
  - {id: c, uses: curlTLS, forEach: [x, y], needs: [first], with: {url: "${steps.d[each.key].serial}"}}
  - {id: d, uses: curlTLS, forEach: [x, y], needs: ["c[each.key]"], with: {url: x}}
`)})
	want := []string{
		"plan.yaml:7:43: steps need each other in a circle: a -> b -> a | a needs b: plan.yaml:7:43, needs / b needs a: plan.yaml:8:77, ${steps.a.serial} | remove one of these",
		"plan.yaml:9:74: steps need each other in a circle: c[0] -> d[0] -> c[0] | c[0] needs d[0]: plan.yaml:9:74, ${steps.d[each.key].serial} / d[0] needs c[0]: plan.yaml:10:53, needs | remove one of these",
	}
	if d := cmp.Diff(want, problemsOf(err)); d != "" {
		t.Error(d)
	}
}

// TestExplicitNeeds: Explicit holds what needs names, each once, also where a reference needs
// the step as well.
func TestExplicitNeeds(t *testing.T) {
	p := load(t, `
steps:
  - {id: a, uses: vaultInit}
  - {id: b, uses: vaultInit, forEach: [x, y]}
  - {id: c, uses: curlTLS, needs: [b, a, a, "b[0]"], with: {url: "${steps.a.version}"}}
  - {id: d, uses: curlTLS, needs: ["b[1]"], with: {url: "${steps.a.version}"}}
  - {id: e, uses: curlTLS, with: {url: "${steps.a.version}"}}
`)
	for id, want := range map[string]string{"c": "[b[0] b[1] a] [b[0] b[1] a]", "d": "[b[1]] [b[1] a]", "e": "[] [a]"} {
		s := p.Step(id)
		if got := fmt.Sprint(s.Explicit, " ", s.Needs); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}
