package graph

import (
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/layout"
	"github.com/ztplan/ztplan/engine/plan"
)

// SVG draws the graph from top to bottom, as reports do. The picture stands alone and
// follows the reader's light or dark scheme.
func SVG(w io.Writer, p *plan.Plan) error {
	nodes := make([]layout.Node, len(p.Steps))
	for i, s := range p.Steps {
		nodes[i] = layout.Node{ID: s.ID, Needs: drawn(p, s)}
	}
	g := layout.New(nodes, nil)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="graph of plan %s">
<style>
  .box { fill: #f6f8fa; stroke: #57606a; } .proof { stroke-dasharray: 4 2; }
  .edge { fill: none; stroke: #8c959f; } .head { fill: #8c959f; }
  .id { font: 600 13px sans-serif; fill: #1f2328; } .kind { font: 11px sans-serif; fill: #57606a; }
  @media (prefers-color-scheme: dark) {
    .box { fill: #161b22; stroke: #8b949e; } .edge { stroke: #6e7681; } .head { fill: #6e7681; }
    .id { fill: #e6edf3; } .kind { fill: #8b949e; }
  }
</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>
`, g.Width, g.Height, g.Width, g.Height, html.EscapeString(p.Name))
	for _, e := range g.Edges {
		fmt.Fprintf(&b, `<path class="edge" marker-end="url(#head)" d="%s"/>`+"\n", e.Path)
	}
	for i, s := range p.Steps {
		at, class := g.Boxes[i], "box"
		if s.Kind.Proof {
			class = "box proof"
		}
		about := s.Kind.Name
		if s.When != nil {
			about += ", when " + condition(s.When)
		}
		fmt.Fprintf(&b, `<g><title>%s (%s)</title><rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="%d"/>`+
			`<text class="id" x="%d" y="%d">%s</text><text class="kind" x="%d" y="%d">%s</text></g>`+"\n",
			html.EscapeString(s.ID), html.EscapeString(about), class, at.X, at.Y, layout.BoxWidth, layout.BoxHeight, layout.Corner,
			at.X+10, at.Y+19, html.EscapeString(layout.Label(s.ID)), at.X+10, at.Y+36, html.EscapeString(layout.Label(about)))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}
