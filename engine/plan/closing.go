package plan

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A closer is a step that asks for a closing step.
type closer struct {
	step  *Step
	with  *yaml.Node // as written
	input string
	kind  *engine.Kind
}

// closing records a step that asks for a closing step. The input that decides it must
// not depend on outputs, since it decides the graph.
func (l *loader) closing(s *Step, e envelope) {
	c, ok := s.draft.(engine.Closer)
	if !ok {
		return
	}
	input, kind := c.Closing()
	if slices.Contains(s.pending, input) {
		l.Add(&source.Problem{Position: s.PositionOf(input), Hint: "use a variable: ${vars.NAME}",
			Summary: fmt.Sprintf("%s: %s: no output can be used here: it decides which steps the plan has", s.subject(), input)})
		return
	}
	if kind != nil && s.ID != "" {
		l.closers = append(l.closers, closer{s, e["with"], input, kind})
	}
}

// close adds the closing steps. Their inputs are those of the steps that ask for
// them, and so are the problems with them: they are not reported again.
func (l *loader) close() {
	written := len(l.plan.Steps)
	for _, c := range l.closers {
		asks := c.step
		s := &Step{
			ID: asks.ID + "." + c.input, Closes: asks.ID, Kind: c.kind, When: asks.When,
			Group: asks.Group, item: asks.item, plan: l.plan, entry: asks.entry, Node: asks.Node, Index: len(l.plan.Steps),
		}
		l.plan.Steps = append(l.plan.Steps, s)
		l.plan.byID[s.ID] = s
		l.plan.name(s.ID)
		for _, r := range asks.Refs {
			if r.Input == "when" {
				s.Refs = append(s.Refs, r)
			}
		}
		l.policy(s, envelope{}, s.subject())
		s.with = l.withConnections(s, c.with)
		s.Position = s.PositionOf(c.input)
		sc := s.scope()
		d := l.plan.decoder(sc, s.subject(), silent)
		l.recordRefs(sc, d)
		s.draft, s.pending = s.decode(d), d.Pending()
		for _, to := range l.plan.Steps[:written] {
			l.edge(s, to, Edge{Position: s.Position})
		}
	}
}
