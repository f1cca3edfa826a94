package report

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/steps/evidence"
)

// laneWidth is the width of an edge in a row that it passes.
const laneWidth = 14

// A layout holds the places of boxes, and of edges between them. Nodes are
// the steps by index, then one for each row that an edge passes on its way.
type layout struct {
	rows   [][]int
	center []int // horizontally, by node
	passes map[[2]int][]int
	width  int
}

// newLayout lays the steps out in rows. An edge that follows from others is
// left out, unless keep is set.
func newLayout(steps []evidence.Step, index map[string]int, level []int, keep func(step, need string) bool) *layout {
	l := &layout{passes: make(map[[2]int][]int)}
	add := func(node, row int) {
		for len(l.rows) <= row {
			l.rows = append(l.rows, nil)
		}
		l.rows[row] = append(l.rows[row], node)
	}
	before := ancestors(steps, index, level)
	above := make([][]int, len(steps)) // the nodes that a node needs
	for i := range steps {
		add(i, level[i])
	}
	for i, s := range steps {
		for _, need := range s.Needs {
			j, ok := index[need]
			if !ok || level[j] >= level[i] || l.passes[[2]int{j, i}] != nil || implied(s, j, index, before) && !keep(s.ID, need) {
				continue
			}
			l.passes[[2]int{j, i}] = []int{}
			last := j
			for row := level[j] + 1; row < level[i]; row++ {
				node := len(above)
				above = append(above, []int{last})
				add(node, row)
				l.passes[[2]int{j, i}] = append(l.passes[[2]int{j, i}], node)
				last = node
			}
			above[i] = append(above[i], last)
		}
	}
	width := func(node int) int {
		if node < len(steps) {
			return boxWidth
		}
		return laneWidth
	}
	total := func(row []int) (w int) {
		for _, node := range row {
			w += width(node) + boxGapX
		}
		return w - boxGapX
	}
	for _, row := range l.rows {
		l.width = max(l.width, total(row)+2*graphMargin)
	}
	l.center = make([]int, len(above))
	for _, row := range l.rows {
		// Below the nodes that they need, so that few edges cross.
		want := make(map[int]float64, len(row))
		for k, node := range row {
			want[node] = float64(k)
			if n := len(above[node]); n > 0 {
				sum := 0
				for _, a := range above[node] {
					sum += l.center[a]
				}
				want[node] = float64(sum) / float64(n)
			}
		}
		slices.SortStableFunc(row, func(a, b int) int { return cmp.Compare(want[a], want[b]) })
		x := (l.width - total(row)) / 2
		for _, node := range row {
			l.center[node] = x + width(node)/2
			x += width(node) + boxGapX
		}
	}
	return l
}

// ancestors returns for each step the set of those before it.
func ancestors(steps []evidence.Step, index map[string]int, level []int) []*big.Int {
	order := make([]int, len(steps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(level[a], level[b]) })
	before := make([]*big.Int, len(steps))
	for _, i := range order {
		before[i] = new(big.Int)
		for _, need := range steps[i].Needs {
			if j, ok := index[need]; ok && level[j] < level[i] {
				before[i].Or(before[i], before[j]).SetBit(before[i], j, 1)
			}
		}
	}
	return before
}

// implied reports whether s comes after j because of another need.
func implied(s evidence.Step, j int, index map[string]int, before []*big.Int) bool {
	return slices.ContainsFunc(s.Needs, func(need string) bool {
		k, ok := index[need]
		return ok && k != j && before[k].Bit(j) == 1
	})
}

// path draws the edge from step j down to step i.
func (l *layout) path(j, i int, level []int) string {
	const row = boxHeight + boxGapY
	x, y := l.center[j], graphMargin+level[j]*row+boxHeight
	var b strings.Builder
	fmt.Fprintf(&b, "M%d %d", x, y)
	for _, node := range append(slices.Clone(l.passes[[2]int{j, i}]), i) {
		to := l.center[node]
		fmt.Fprintf(&b, "C%d %d %d %d %d %d", x, y+boxGapY/2, to, y+boxGapY/2, to, y+boxGapY)
		if x, y = to, y+row; node != i {
			fmt.Fprintf(&b, "V%d", y)
		}
	}
	return b.String()
}
