package graph

import (
	"fmt"
	"html"
	"io"
	"strings"

	"github.com/ztplan/ztplan/engine/plan"
)

// SVG draws the graph from left to right, a column for each length of the
// longest chain before a step. The picture stands alone and follows the
// reader's light or dark scheme.
func SVG(w io.Writer, p *plan.Plan) error {
	const boxW, boxH, gapX, gapY, margin = 150, 44, 60, 16, 20
	level := p.Graph().Levels()
	rows := make(map[int]int)
	type point struct{ x, y int }
	at := make(map[string]point, len(p.Steps))
	deepest, tallest := 0, 0
	for _, s := range p.Steps {
		l := level[s.Index]
		at[s.ID] = point{margin + l*(boxW+gapX), margin + rows[l]*(boxH+gapY)}
		rows[l]++
		deepest, tallest = max(deepest, l), max(tallest, rows[l])
	}
	width := 2*margin + (deepest+1)*(boxW+gapX) - gapX
	height := 2*margin + tallest*(boxH+gapY) - gapY
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
`, width, height, width, height, html.EscapeString(p.Name))
	for _, s := range p.Steps {
		to := at[s.ID]
		for _, n := range drawn(p, s) {
			from := at[n]
			x1, y1, x2, y2 := from.x+boxW, from.y+boxH/2, to.x, to.y+boxH/2
			fmt.Fprintf(&b, `<path class="edge" marker-end="url(#head)" d="M%d %dC%d %d %d %d %d %d"/>`+"\n",
				x1, y1, x1+gapX/2, y1, x2-gapX/2, y2, x2, y2)
		}
	}
	for _, s := range p.Steps {
		pt, class := at[s.ID], "box"
		if s.Kind.Proof {
			class = "box proof"
		}
		fmt.Fprintf(&b, `<g><title>%s (%s)</title><rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="6"/>`+
			`<text class="id" x="%d" y="%d">%s</text><text class="kind" x="%d" y="%d">%s</text></g>`+"\n",
			html.EscapeString(s.ID), s.Kind.Name, class, pt.x, pt.y, boxW, boxH,
			pt.x+10, pt.y+18, html.EscapeString(s.ID), pt.x+10, pt.y+34, s.Kind.Name)
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}
