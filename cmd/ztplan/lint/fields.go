package lint

import (
	"cmp"
	"slices"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// unknownFields warns of fields of Kubernetes' own kinds that this ztplan does not
// know. It is no error: a cluster that is newer may have them.
func unknownFields(f *facts) []Finding {
	var out []Finding
	for _, a := range f.applied {
		for _, p := range a.spec.UnknownFields() {
			found := at(a.step, p.Field, "unknown-field", p.Hint, "%s: %s", p.Field, p.Message)
			if p.File != "" {
				found.Place = source.Position{File: f.plan.Display(p.File), Line: p.Line, Column: p.Column}
			}
			out = append(out, found)
		}
	}
	return out
}

// unusedVariables: a variable that changes nothing.
func unusedVariables(f *facts) []Finding {
	var out []Finding
	for at, name := range f.plan.Unused() {
		out = append(out, Finding{Rule: "unused-variable", Place: at, Message: "nothing refers to variable " + name})
	}
	slices.SortFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line))
	})
	return out
}
