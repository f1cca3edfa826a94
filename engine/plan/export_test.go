package plan

// Edges returns why steps need each other: all edges, by step in the order of
// the file, and within a step as in Needs.
func (p *Plan) Edges() []Edge {
	var edges []Edge
	for _, s := range p.Steps {
		edges = append(edges, s.edges...)
	}
	return edges
}

// Known returns the value of a condition that depends on no step.
func (c *Condition) Known() (value, ok bool) {
	if c.fails() != nil {
		return false, true
	}
	for ; c != nil; c = c.outer {
		if !c.known {
			return false, false
		}
	}
	return true, true
}
