package plan

import (
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// Claims returns the claims of the steps by their inputs, which a run compares with
// their outputs. A step with a condition may be the alternative to another one: its
// claims are left out.
func (p *Plan) Claims() *engine.Claims {
	claims := new(engine.Claims)
	p.eachClaim(func(s *Step, list []engine.Claim) { claims.Add(s.ID, list) })
	return claims
}

func (p *Plan) eachClaim(f func(*Step, []engine.Claim)) {
	for _, s := range p.Steps {
		if _, is := s.Kind.New().(engine.Claimer); !is || s.When != nil || s.Empty {
			continue
		}
		inputs, unknown := s.Draft()
		f(s, inputs.(engine.Claimer).Claims(p.Name, unknown))
	}
}

// compareClaims reports objects that two steps want in different states: each would
// undo the other in every run.
func (l *loader) compareClaims() {
	var claims engine.Claims
	l.plan.eachClaim(func(s *Step, list []engine.Claim) {
		l.about(s.entry.unit, s.ID, s.entry.id)
		reported := make(map[string]bool) // inputs: one problem each
		for _, c := range claims.Add(s.ID, list) {
			if reported[c.Field] {
				continue
			}
			reported[c.Field] = true
			at, other := s.PositionOf(c.Field), l.plan.Step(c.Step)
			l.Add(&source.Problem{Position: at,
				Summary: fmt.Sprintf("step %s (%s): %s: %s is what step %s (%s) makes as well, and differently", s.ID, s.Kind.Name, c.Field, c.Path, other.ID, other.Kind.Name),
				Hint:    fmt.Sprintf("%s; step %s is at %s", engine.TwoOwners, other.ID, other.Position)})
		}
	})
}
