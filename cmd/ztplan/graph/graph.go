// Package graph draws the graph of a plan as text, DOT, Mermaid or SVG.
package graph

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine/plan"
)

// Text writes a line a step, in the order of their levels: its needs after an arrow, and its
// condition after "when".
func Text(w io.Writer, p *plan.Plan) error {
	width, kinds := 0, 0
	for _, s := range p.Steps {
		width, kinds = max(width, len(s.ID)), max(kinds, len(s.Kind.Name))
	}
	level := p.Graph().Levels()
	steps := slices.Clone(p.Steps)
	slices.SortStableFunc(steps, func(a, b *plan.Step) int { return level[a.Index] - level[b.Index] })
	for _, s := range steps {
		line := fmt.Sprintf("%2d  %-*s  %-*s", level[s.Index], width, s.ID, kinds, s.Kind.Name)
		switch {
		case s.Closes != "":
			line += "  ← every step of the plan"
		case len(s.Needs) > 0:
			line += "  ← " + strings.Join(s.Needs, ", ")
		}
		if s.When != nil {
			line += "  when " + condition(s.When)
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}

// JSON writes the graph as one object, with every need of each step.
func JSON(w io.Writer, p *plan.Plan) error {
	type step struct {
		ID    string   `json:"id"`
		Kind  string   `json:"kind"`
		Proof bool     `json:"proof,omitempty"`
		Level int      `json:"level"` // length of the longest chain before it
		Needs []string `json:"needs"`
		When  string   `json:"when,omitempty"` // as the plan writes it
	}
	level := p.Graph().Levels()
	steps := make([]step, len(p.Steps))
	for i, s := range p.Steps {
		steps[i] = step{s.ID, s.Kind.Name, s.Kind.Proof, level[s.Index], append([]string{}, s.Needs...), condition(s.When)}
	}
	return json.NewEncoder(w).Encode(struct {
		Plan  string `json:"plan"`
		Steps []step `json:"steps"`
	}{p.Name, steps})
}

// condition returns a condition as the plan writes it, after those of the entries that
// include the step; "" for nil.
func condition(c *plan.Condition) string {
	switch {
	case c == nil:
		return ""
	case c.Outer() == nil:
		return c.Source
	}
	return condition(c.Outer()) + " and " + c.Source
}

// drawn returns the needs of a step that a picture shows. A closing step needs
// every other step: those that nothing else needs imply the rest.
func drawn(p *plan.Plan, s *plan.Step) []string {
	if s.Closes == "" {
		return s.Needs
	}
	needed := make(map[string]bool)
	for _, other := range p.Steps {
		for _, n := range other.Needs {
			needed[n] = needed[n] || other.Closes == ""
		}
	}
	return slices.DeleteFunc(slices.Clone(s.Needs), func(n string) bool { return needed[n] })
}

// DOT writes the graph for Graphviz.
func DOT(w io.Writer, p *plan.Plan) error {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"sans-serif\"];\n", p.Name)
	for _, s := range p.Steps {
		shape, label := "", s.ID+"\n"+s.Kind.Name
		if s.Kind.Proof {
			shape = ", peripheries=2"
		}
		if s.When != nil {
			label += "\nwhen " + condition(s.When)
		}
		fmt.Fprintf(&b, "  %q [label=%q%s];\n", s.ID, label, shape)
	}
	for _, s := range p.Steps {
		for _, n := range drawn(p, s) {
			fmt.Fprintf(&b, "  %q -> %q;\n", n, s.ID)
		}
	}
	b.WriteString("}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// Mermaid writes the graph for Mermaid.
func Mermaid(w io.Writer, p *plan.Plan) error {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	name := make(map[string]string, len(p.Steps))
	for i, s := range p.Steps {
		name[s.ID] = fmt.Sprintf("s%d", i)
		open, closing := "[", "]"
		if s.Kind.Proof {
			open, closing = "([", "])"
		}
		small := s.Kind.Name
		if s.When != nil {
			small += "<br/>when " + strings.NewReplacer("&", "#amp;", `"`, "#quot;", "<", "#lt;", ">", "#gt;").Replace(condition(s.When))
		}
		fmt.Fprintf(&b, "  %s%s\"%s<br/><small>%s</small>\"%s\n", name[s.ID], open, strings.ReplaceAll(s.ID, `"`, "#quot;"), small, closing)
	}
	for _, s := range p.Steps {
		for _, n := range drawn(p, s) {
			fmt.Fprintf(&b, "  %s --> %s\n", name[n], name[s.ID])
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
