package report

import (
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/cmd/ztplan/layout"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// A graphView is the graph of a run.
type graphView struct {
	Width, Height int
	Boxes         []boxView
	Edges         []edgeView
}

type boxView struct {
	ID, Kind, State, Mark, Time string
	Text                        string // the id, as far as there is room for it
	X, Y, W, H, R               int
	Critical, Proof             bool
	Label                       string // for those who cannot see it
	TextX, IDY, KindY, TimeX    int
}

type edgeView struct {
	Path     string
	Critical bool
}

func newGraph(d *evidence.Document) graphView {
	critical := make(map[string]int)
	for k, id := range d.Summary.CriticalPath {
		critical[id] = k + 1
	}
	onPath := func(step, need string) bool { return critical[need] > 0 && critical[step] == critical[need]+1 }
	nodes := make([]layout.Node, len(d.Steps))
	for i, s := range d.Steps {
		nodes[i] = layout.Node{ID: s.ID, Needs: s.Needs}
	}
	l := layout.New(nodes, onPath)
	g := graphView{Width: l.Width, Height: l.Height}
	for i, s := range d.Steps {
		x, y := l.Boxes[i].X, l.Boxes[i].Y
		b := boxView{
			ID: s.ID, Text: layout.Label(s.ID), Kind: s.Kind, State: s.State, Mark: stateMark(s.State), Time: display.Seconds(s.Seconds),
			X: x, Y: y, W: layout.BoxWidth, H: layout.BoxHeight, R: layout.Corner, Critical: critical[s.ID] > 0, Proof: len(s.Findings) > 0 || len(s.Would) > 0,
			TextX: x + 10, IDY: y + 19, KindY: y + 36, TimeX: x + layout.BoxWidth - 10,
		}
		b.Label = fmt.Sprintf("%s, %s: %s in %s", s.ID, s.Kind, s.State, b.Time)
		if b.Critical {
			b.Label += ", on the critical path"
		}
		g.Boxes = append(g.Boxes, b)
	}
	for _, e := range l.Edges {
		g.Edges = append(g.Edges, edgeView{Path: e.Path, Critical: onPath(d.Steps[e.Step].ID, d.Steps[e.Need].ID)})
	}
	// The critical edges on top of the others.
	slices.SortStableFunc(g.Edges, func(a, b edgeView) int {
		if a.Critical == b.Critical {
			return 0
		} else if a.Critical {
			return 1
		}
		return -1
	})
	return g
}
