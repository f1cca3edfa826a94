package lint

import (
	"strings"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// emptyCollections warns of steps without instances.
func emptyCollections(f *facts) []Finding {
	var out []Finding
	for _, s := range f.plan.Steps {
		if s.Empty {
			out = append(out, at(s, "forEach", "for-each-empty", "", "there is no instance: forEach is empty"))
		}
	}
	return out
}

// once keeps the first of the findings that several instances of a step have, and adds
// the names of the others to it.
func (f *facts) once(all []Finding) (out []Finding) {
	first := make(map[[3]string]int)
	others := make(map[int][]string)
	for _, found := range all {
		step := f.plan.Step(found.Step)
		if step == nil || step.Group == "" {
			out = append(out, found)
			continue
		}
		same := [3]string{found.Rule, strings.ReplaceAll(found.Message, step.ID, step.Group), found.Place.String()}
		if i, again := first[same]; !again {
			first[same] = len(out)
			out = append(out, found)
		} else if out[i].Step != found.Step {
			others[i] = append(others[i], found.Step)
		}
	}
	for i, ids := range others {
		out[i].Message += "; the same with " + source.Listed(ids)
	}
	return out
}
