package report

import (
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// Sizes of the graph, in the units of its viewBox.
const (
	boxWidth, boxHeight  = 156, 46
	boxGapX, boxGapY     = 20, 40
	graphMargin, cornerR = 12, 8
)

// A graphView is the graph of a run, laid out from top to bottom: a row for
// each length of the longest chain before a step.
type graphView struct {
	Width, Height int
	Boxes         []boxView
	Edges         []edgeView
}

type boxView struct {
	ID, Kind, State, Mark, Time string
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
	index := make(map[string]int, len(d.Steps))
	for i, s := range d.Steps {
		index[s.ID] = i
	}
	level := levels(d.Steps, index)
	critical := make(map[string]int)
	for k, id := range d.Summary.CriticalPath {
		critical[id] = k + 1
	}
	onPath := func(step, need string) bool { return critical[need] > 0 && critical[step] == critical[need]+1 }
	l := newLayout(d.Steps, index, level, onPath)
	g := graphView{Width: l.width, Height: 2*graphMargin + max(1, len(l.rows))*(boxHeight+boxGapY) - boxGapY}
	center := l.center
	for i, s := range d.Steps {
		x, y := center[i]-boxWidth/2, graphMargin+level[i]*(boxHeight+boxGapY)
		b := boxView{
			ID: s.ID, Kind: s.Kind, State: s.State, Mark: stateMark(s.State), Time: display.Seconds(s.Seconds),
			X: x, Y: y, W: boxWidth, H: boxHeight, R: cornerR, Critical: critical[s.ID] > 0, Proof: len(s.Findings) > 0 || len(s.Would) > 0,
			TextX: x + 10, IDY: y + 19, KindY: y + 36, TimeX: x + boxWidth - 10,
		}
		b.Label = fmt.Sprintf("%s, %s: %s in %s", s.ID, s.Kind, s.State, b.Time)
		if b.Critical {
			b.Label += ", on the critical path"
		}
		g.Boxes = append(g.Boxes, b)
		for _, need := range s.Needs {
			j, ok := index[need]
			if !ok || l.passes[[2]int{j, i}] == nil {
				continue
			}
			g.Edges = append(g.Edges, edgeView{
				Path:     l.path(j, i, level),
				Critical: onPath(s.ID, need),
			})
		}
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

// levels returns the length of the longest chain before each step. A document
// is input: a cycle in it must not hang.
func levels(steps []evidence.Step, index map[string]int) []int {
	level, state := make([]int, len(steps)), make([]int, len(steps))
	var visit func(i int) int
	visit = func(i int) int {
		switch state[i] {
		case 1:
			return -1 // a cycle: as if the need were not there
		case 2:
			return level[i]
		}
		state[i] = 1
		for _, need := range steps[i].Needs {
			if j, ok := index[need]; ok {
				level[i] = max(level[i], visit(j)+1)
			}
		}
		state[i] = 2
		return level[i]
	}
	for i := range steps {
		visit(i)
	}
	return level
}
