package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// A Selection is the steps of a plan that are to run.
type Selection struct {
	// Steps are those that run, in the order of the plan.
	Steps []*Step
	// Left holds a reason for every step that does not run, by id. It still
	// has its place in the graph: steps that need it wait for the steps that it needs.
	Left map[string]string
}

// Includes reports whether a step runs.
func (s *Selection) Includes(id string) bool {
	_, left := s.Left[id]
	return !left
}

// Select chooses steps by id. The id of a step with forEach, or of a fragment, stands for
// all of its steps. If only is not empty, those steps and everything that they need run;
// steps in skip do not. A step that refers to an output of a step that does not run
// cannot run either; a step that only needs it, can. The same holds for steps whose when
// is known to be false, and for one whose forEach is empty; a closing step does not run
// without the step that asked for it.
//
// The error is a *[source.Problems]: ids that do not exist, or that
// only and skip leave none of those that were chosen.
func (p *Plan) Select(only, skip []string) (*Selection, error) {
	var problems []*source.Problem
	check := func(flag string, ids []string) (nodes []int) {
		for _, id := range ids {
			steps := p.groups[id]
			if s := p.byID[id]; s != nil {
				steps = []*Step{s}
			}
			if steps == nil {
				problems = append(problems, &source.Problem{
					Summary: fmt.Sprintf("%s %s: the plan has no such step", flag, id),
					Hint:    source.Suggestion(id, p.ids, "its steps are "),
				})
			}
			for _, s := range steps {
				nodes = append(nodes, s.Index)
			}
		}
		return nodes
	}
	onlyNodes, skipNodes := check("--only", only), check("--skip", skip)
	if err := source.NewProblems(problems...); err != nil {
		return nil, err
	}
	sel := &Selection{Left: make(map[string]string)}
	if len(only) > 0 {
		wanted := make([]bool, len(p.Steps))
		for _, i := range p.graph.Ancestors(onlyNodes...) {
			wanted[i] = true
		}
		for i, s := range p.Steps {
			if !wanted[i] {
				sel.Left[s.ID] = "not among --only and what that needs"
			}
		}
	}
	for _, i := range skipNodes {
		sel.Left[p.Steps[i].ID] = "--skip"
	}
	for _, i := range p.graph.Order() {
		s := p.Steps[i]
		if sel.Left[s.ID] != "" {
			continue
		}
		if s.Empty {
			sel.Left[s.ID] = "forEach is empty: there is no instance"
			continue
		}
		if sel.Left[s.Closes] != "" {
			sel.Left[s.ID] = fmt.Sprintf("belongs to %s, and %s is left out", s.Closes, s.Closes)
			continue
		}
		if r := slices.IndexFunc(s.Refs, func(r Ref) bool { return sel.Left[r.Step] != "" }); r >= 0 {
			sel.Left[s.ID] = fmt.Sprintf("refers to %s, and %s is left out", s.Refs[r].Text, s.Refs[r].Step)
			continue
		}
		if c := s.When.fails(); c != nil {
			sel.Left[s.ID] = "when: " + c.Source
		}
	}
	for _, s := range p.Steps {
		if sel.Includes(s.ID) {
			sel.Steps = append(sel.Steps, s)
		}
	}
	wanted := func(node int) bool { return !slices.Contains(skipNodes, node) }
	contradiction := len(only) > 0 && !slices.ContainsFunc(onlyNodes, wanted)
	if contradiction || len(sel.Steps) == 0 && len(only)+len(skip) > 0 {
		return nil, source.NewProblems(&source.Problem{
			Summary: "no step is left: " + selected(only, skip) + " leaves out all that were chosen",
			Hint:    "name a step that is not left out: a run of nothing shows nothing",
		})
	}
	return sel, nil
}

// selected is the selection as flags.
func selected(only, skip []string) string {
	var flags []string
	if len(only) > 0 {
		flags = append(flags, "--only "+strings.Join(only, ","))
	}
	if len(skip) > 0 {
		flags = append(flags, "--skip "+strings.Join(skip, ","))
	}
	return strings.Join(flags, " ")
}
