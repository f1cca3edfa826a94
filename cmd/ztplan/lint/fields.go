package lint

import (
	"cmp"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// unknownFields warns of fields of Kubernetes' own kinds that this ztplan does not
// know. It is no error: a cluster that is newer may have them.
func unknownFields(f *facts) []Finding {
	const why = "the API server refuses a field that it does not know; this ztplan knows those of Kubernetes 1.36, and a newer server may have more"
	var out []Finding
	for _, a := range f.applied {
		for _, p := range a.spec.UnknownFields() {
			found := at(a.step, p.Field, Warning, "unknown-field", cmp.Or(p.Hint, "the dry run asks the server"), why, "%s: %s", p.Field, p.Message)
			if p.File != "" {
				found.Position = source.Position{File: p.File, Line: p.Line, Column: p.Column}.String()
			}
			out = append(out, found)
		}
	}
	return out
}
