package plan

import (
	"fmt"
	"reflect"

	"github.com/ztplan/ztplan/engine"
)

// thing identifies what steps claim.
type thing struct{ server, path string }

type claimed struct {
	step *Step
	want any
}

// compareClaims reports what two steps want in different states: each would undo
// the other in every run. A step with a condition may be the alternative to
// another one and is not compared.
func (l *loader) compareClaims() {
	first := make(map[thing]claimed)
	for _, s := range l.plan.Steps {
		if _, is := s.Kind.New().(engine.Claimer); !is || s.When != nil {
			continue
		}
		spec, unknown := s.Draft()
		said := make(map[string]bool) // inputs: one problem each
		for _, c := range spec.(engine.Claimer).Claims(l.plan.Name, unknown) {
			t := thing{c.Server, c.Path}
			other, taken := first[t]
			switch {
			case !taken:
				first[t] = claimed{s, c.Want}
			case other.step != s && !said[c.Field] && !reflect.DeepEqual(other.want, c.Want):
				said[c.Field] = true
				at := s.PositionOf(c.Field)
				l.report(&Problem{File: at.File, Line: at.Line, Column: at.Column,
					Summary: fmt.Sprintf("step %s (%s): %s: %s is what step %s (%s) makes as well, and differently", s.ID, s.Kind.Name, c.Field, c.Path, other.step.ID, other.step.Kind.Name),
					Hint:    fmt.Sprintf("each would undo the other in every run: leave it to one of them, or write the same in both; step %s is at %s", other.step.ID, other.step.Position)})
			}
		}
	}
}
