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
// undo the other in every run. A file that a step writes must not be an input either: it
// is read once, before any step runs.
func (l *loader) compareClaims() {
	var claims engine.Claims
	readers := l.readers()
	l.plan.eachClaim(func(s *Step, list []engine.Claim) {
		l.about(s.entry.unit, s.ID, s.entry.id)
		reported := make(map[string]bool) // inputs: one problem each
		report := func(c engine.Claim, mistake, hint string) {
			if reported[c.Field] {
				return
			}
			reported[c.Field] = true
			thing := c.Path
			if c.Server == engine.Files {
				thing = l.plan.Display(c.Path)
			}
			l.Add(&source.Problem{Position: s.PositionOf(c.Field),
				Summary: fmt.Sprintf("step %s (%s): %s: %s is %s", s.ID, s.Kind.Name, c.Field, thing, mistake), Hint: hint})
		}
		for _, c := range claims.Add(s.ID, list) {
			other := l.plan.Step(c.Step)
			report(c.Claim, c.Mistake(fmt.Sprintf("%s (%s)", other.ID, other.Kind.Name)), fmt.Sprintf("%s; step %s is at %s", c.Advice(), other.ID, other.Position))
		}
		for _, c := range list {
			if by := readers[c.Path]; by != nil && c.Server == engine.Files {
				report(c, fmt.Sprintf("an input of step %s (%s) as well, which is read before any step runs", by.ID, by.Kind.Name), fmt.Sprintf("name another file; step %s is at %s", by.ID, by.Position))
			}
		}
	})
}

// readers returns the first step that reads each file, by [engine.File.Place].
func (l *loader) readers() map[string]*Step {
	readers := make(map[string]*Step)
	seen := make(map[string]bool) // paths: steps share the files of a connection
	for _, s := range l.plan.Steps {
		inputs, _ := s.Draft() // nil, without files, of an empty step
		for _, f := range engine.InputFiles(inputs) {
			if seen[f.Path] {
				continue
			}
			seen[f.Path] = true
			if at := f.Place(); readers[at] == nil {
				readers[at] = s
			}
		}
	}
	return readers
}
