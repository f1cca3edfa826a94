package plan_test

import (
	"sync"
	"testing"
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
