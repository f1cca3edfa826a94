// Package layout places the boxes and the edges of a graph of steps on a plane, from
// top to bottom: a row for each length of the longest chain before a step. No edge
// runs behind a box.
package layout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Sizes, in the units of the plane.
const (
	BoxWidth, BoxHeight = 156, 46
	Corner              = 8 // radius of a box

	gapX, gapY = 20, 40
	margin     = 12
	lane       = 14 // width of an edge in a row that it passes
	row        = BoxHeight + gapY
)

// maxLabel is how many characters of an id a box has room for.
const maxLabel = 20

// Label returns an id as a box shows it: without its middle if it is long. The end of an id
// has the key of an instance.
func Label(id string) string {
	if r := []rune(id); len(r) > maxLabel {
		return string(r[:maxLabel/2-1]) + "…" + string(r[len(r)-maxLabel/2:])
	}
	return id
}

// A Node is a step and the steps that it needs. Needs that are no nodes do not count,
// and of a cycle one edge does not.
type Node struct {
	ID    string
	Needs []string
}

// A Graph is the graph on its plane, which begins at 0, 0.
type Graph struct {
	Width, Height int
	Boxes         []Point // upper left corners, by node
	Edges         []Edge  // by step in the order of the nodes
}

// A Point is a place on the plane.
type Point struct{ X, Y int }

// An Edge leads from a step down to one that needs it.
type Edge struct {
	Need, Step int    // nodes
	Path       string // as SVG writes it
}

// A plane is a graph that is being placed. Its places are the nodes, and then one for
// each row that an edge passes.
type plane struct {
	nodes  []Node
	index  map[string]int
	level  []int
	needs  [][]int // by node, those above it, each once
	rows   [][]int // places, from left to right
	above  [][]int // the places that a place hangs from
	center []int   // of places
	width  int
	passes map[[2]int][]int // the places of an edge between its nodes
}

// New places a graph. An edge that follows from others is left out, unless keep, which
// may be nil, is true for it.
func New(nodes []Node, keep func(step, need string) bool) *Graph {
	p := &plane{nodes: nodes, index: make(map[string]int, len(nodes)), passes: make(map[[2]int][]int), above: make([][]int, len(nodes))}
	for i, n := range nodes {
		p.index[n.ID] = i
	}
	p.levels()
	for i := range nodes {
		p.add(i, p.level[i])
	}
	edges := p.edges(keep)
	p.place()
	g := &Graph{Width: p.width, Height: 2*margin + max(1, len(p.rows))*row - gapY}
	for i := range nodes {
		g.Boxes = append(g.Boxes, Point{p.center[i] - BoxWidth/2, margin + p.level[i]*row})
	}
	for _, e := range edges {
		g.Edges = append(g.Edges, Edge{Need: e[0], Step: e[1], Path: p.path(e[0], e[1])})
	}
	return g
}

// levels finds the length of the longest chain before each node, and the nodes above it.
func (p *plane) levels() {
	p.level = make([]int, len(p.nodes))
	state := make([]int, len(p.nodes))
	var visit func(i int) int
	visit = func(i int) int {
		switch state[i] {
		case 1:
			return -1 // a cycle: as if the need were not there
		case 2:
			return p.level[i]
		}
		state[i] = 1
		for _, need := range p.nodes[i].Needs {
			if j, ok := p.index[need]; ok {
				p.level[i] = max(p.level[i], visit(j)+1)
			}
		}
		state[i] = 2
		return p.level[i]
	}
	for i := range p.nodes {
		visit(i)
	}
	p.needs = make([][]int, len(p.nodes))
	had := make([]int, len(p.nodes)) // by the node, counted from 1, that needs it
	for i, n := range p.nodes {
		for _, need := range n.Needs {
			if j, ok := p.index[need]; ok && p.level[j] < p.level[i] && had[j] != i+1 {
				had[j] = i + 1
				p.needs[i] = append(p.needs[i], j)
			}
		}
	}
}

func (p *plane) add(place, row int) {
	for len(p.rows) <= row {
		p.rows = append(p.rows, nil)
	}
	p.rows[row] = append(p.rows[row], place)
}

// edges returns the edges to draw, need and step, and gives each a place in every row
// that it passes.
func (p *plane) edges(keep func(step, need string) bool) (out [][2]int) {
	visited := make([]int, len(p.nodes)) // by the step, counted from 1, that it is above of
	for i, n := range p.nodes {
		p.mark(i+1, p.needs[i], visited)
		for _, j := range p.needs[i] {
			if visited[j] == i+1 && (keep == nil || !keep(n.ID, p.nodes[j].ID)) {
				continue
			}
			last, edge := j, [2]int{j, i}
			for row := p.level[j] + 1; row < p.level[i]; row++ {
				place := len(p.above)
				p.above = append(p.above, []int{last})
				p.add(place, row)
				p.passes[edge] = append(p.passes[edge], place)
				last = place
			}
			p.above[i] = append(p.above[i], last)
			out = append(out, edge)
		}
	}
	return out
}

// mark writes by to all nodes that come before needs, as far up as these go.
func (p *plane) mark(by int, needs []int, visited []int) {
	if len(needs) < 2 {
		return
	}
	top := p.level[slices.MinFunc(needs, func(a, b int) int { return cmp.Compare(p.level[a], p.level[b]) })]
	open := slices.Clone(needs)
	for len(open) > 0 {
		i := open[len(open)-1]
		open = open[:len(open)-1]
		for _, j := range p.needs[i] {
			if visited[j] != by && p.level[j] >= top {
				visited[j] = by
				open = append(open, j)
			}
		}
	}
}

// place orders the places of each row below those that they hang from, so that few
// edges cross, and centers the rows.
func (p *plane) place() {
	width := func(place int) int {
		if place < len(p.nodes) {
			return BoxWidth
		}
		return lane
	}
	total := func(row []int) (w int) {
		for _, place := range row {
			w += width(place) + gapX
		}
		return w - gapX
	}
	for _, row := range p.rows {
		p.width = max(p.width, total(row)+2*margin)
	}
	p.center = make([]int, len(p.above))
	for _, row := range p.rows {
		want := make(map[int]float64, len(row))
		for k, place := range row {
			want[place] = float64(k)
			if n := len(p.above[place]); n > 0 {
				sum := 0
				for _, a := range p.above[place] {
					sum += p.center[a]
				}
				want[place] = float64(sum) / float64(n)
			}
		}
		slices.SortStableFunc(row, func(a, b int) int { return cmp.Compare(want[a], want[b]) })
		x := (p.width - total(row)) / 2
		for _, place := range row {
			p.center[place] = x + width(place)/2
			x += width(place) + gapX
		}
	}
}

// path draws the edge from node j down to node i.
func (p *plane) path(j, i int) string {
	x, y := p.center[j], margin+p.level[j]*row+BoxHeight
	var b strings.Builder
	fmt.Fprintf(&b, "M%d %d", x, y)
	for _, place := range append(slices.Clone(p.passes[[2]int{j, i}]), i) {
		to := p.center[place]
		fmt.Fprintf(&b, "C%d %d %d %d %d %d", x, y+gapY/2, to, y+gapY/2, to, y+gapY)
		if x, y = to, y+row; place != i {
			fmt.Fprintf(&b, "V%d", y)
		}
	}
	return b.String()
}
