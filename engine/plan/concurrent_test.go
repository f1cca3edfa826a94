package plan_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/ztplan/ztplan/engine/plan"
)

// TestConcurrentUse is for the race detector: steps are decoded while others run.
func TestConcurrentUse(t *testing.T) {
	p := guide(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, s := range p.Steps {
				if _, err := s.Spec(outputs(guideOutputs())); err != nil {
					t.Error(err)
				}
				s.Literal()
				s.Draft()
				if s.When != nil {
					if ok, err := s.When.Eval(outputs(guideOutputs())); !ok || err != nil {
						t.Error(ok, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestConcurrentWith is for the race detector: a fleet reads its plan for many clusters
// at once.
func TestConcurrentWith(t *testing.T) {
	first, err := plan.Load(plan.Input{Kinds: kinds(), Connections: connections(), Values: values(t, "{name: first}"), Data: []byte(head + `vars: {name: {type: string, required: true}}
steps:
  - {id: a, uses: pkiRoot, with: {commonName: "CA of ${vars.name}"}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		given := values(t, fmt.Sprintf("{name: c%d}", i))
		all.Go(func() {
			p, err := first.With(given)
			if err != nil {
				t.Error(err)
			} else if got, want := commonName(p), fmt.Sprintf("CA of c%d", i); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
	all.Wait()
}
