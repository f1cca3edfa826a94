package plan

import (
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/spec"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// foresee reads the inputs of the steps again, in the order of the graph, with the outputs
// that follow from the inputs of other steps in place of their references: see
// [engine.Foreseer]. The graph stays as it is. Nothing more is reported of a step that has
// problems, or needs one that does: it would follow from them.
func (l *loader) foresee() {
	if l.plan.graph == nil {
		return
	}
	for _, i := range l.plan.graph.Order() {
		s := l.plan.Steps[i]
		if s.draft == nil {
			continue
		}
		if len(s.pending) > 0 {
			l.readAgain(s)
		}
		s.foreseen = s.Kind.Foresee(s.draft, l.plan.Name, s.pending)
	}
}

func (l *loader) readAgain(s *Step) {
	report := l.Add
	if s.faulty = s.faulty || slices.ContainsFunc(s.edges, func(e Edge) bool { return e.to.faulty }); s.faulty || s.Closes != "" {
		report = silent
	}
	l.about(s.entry.unit, s.ID, s.entry.id)
	sc := s.scope()
	sc.foresee = true
	d := l.plan.decoder(sc, s.subject(), report)
	s.draft, s.pending = s.decode(d), d.Pending()
}

// early returns an output while the plan is read: v, which has its type, or its value if
// that is foreseen.
func (sc *scope) early(ref *syntax.Reference, at target, v spec.Value) (spec.Value, *spec.Fault) {
	types, to, path := sc.unit.plan.types, at.step, at.path
	if !sc.foresee || v.Secret || to.foreseen == nil || !types.Holds(to.foreseen, path[:1]) {
		return v, nil
	}
	part, err := types.Output(to.foreseen, path)
	switch {
	case err != nil:
		return v, fault(engine.HintOf(err), "%s: %v", ref.Raw, err)
	case !types.Holds(to.foreseen, path):
		return v, nil
	}
	return spec.Value{Output: part, From: to.ID}, nil
}
