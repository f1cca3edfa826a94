// Package dag is the pure graph behind a plan: which node waits for which, in
// which order they may run, and which chain of them decides how long that takes.
//
// Nodes are the integers from 0 to n-1, in plan order. Everything here is O(V+E)
// in time and memory, does not recurse, and gives the same answer for the same
// input, always. Callers map their own names to indices.
//
// A [Graph] does not change after [New] and may be read from many goroutines.
// A [Schedule] belongs to one.
package dag

import (
	"fmt"
	"slices"
	"strings"
)

// A Graph holds the needs of every node. It has no cycles.
type Graph struct {
	needs      [][]int // of each node
	dependents [][]int // the nodes that need a node
	order      []int
}

// A CycleError reports nodes that need each other.
type CycleError struct {
	// Cycles holds at least one cycle. Each lists its nodes so that every node
	// needs the next one, and the last needs the first; it begins with its
	// lowest node. No node is listed twice: of cycles that share a node only
	// one is named.
	Cycles [][]int
}

// Error names the first cycle by node numbers: "cycle: 3 -> 1 -> 3".
func (e *CycleError) Error() string {
	var b strings.Builder
	b.WriteString("cycle: ")
	for _, n := range e.Cycles[0] {
		fmt.Fprintf(&b, "%d -> ", n)
	}
	fmt.Fprintf(&b, "%d", e.Cycles[0][0])
	return b.String()
}

// New builds the graph of len(needs) nodes, where needs[i] lists the nodes
// that i waits for. Listing a node twice is the same as listing it once.
//
// It fails with a *CycleError if nodes need each other or themselves. It
// panics if a node is out of range: that is a mistake of the caller, not of
// the plan.
func New(needs [][]int) (*Graph, error) {
	n := len(needs)
	g := &Graph{needs: make([][]int, n), dependents: make([][]int, n)}
	seen := make([]int, n) // seen[k] == i+1: i already lists k
	for i, list := range needs {
		for _, k := range list {
			if k < 0 || k >= n {
				panic(fmt.Sprintf("dag: node %d needs node %d, but nodes go from 0 to %d", i, k, n-1))
			}
			if seen[k] == i+1 {
				continue
			}
			seen[k] = i + 1
			g.needs[i] = append(g.needs[i], k)
			g.dependents[k] = append(g.dependents[k], i)
		}
	}
	var cycles [][]int
	if g.order, cycles = walk(g.needs); cycles != nil {
		return nil, &CycleError{cycles}
	}
	return g, nil
}

// walk visits the needs of a node before the node itself, starting from the
// nodes in plan order. Leaving a node gives the order; meeting one that has
// been entered and not left closes a cycle.
func walk(needs [][]int) (order []int, cycles [][]int) {
	n := len(needs)
	const (
		untouched = iota
		entered
		left
	)
	state := make([]uint8, n)
	next := make([]int, n) // the edge to follow next
	order = make([]int, 0, n)
	var stack []int
	var inCycle []bool // allocated with the first cycle
	for root := range n {
		if state[root] != untouched {
			continue
		}
		state[root] = entered
		stack = append(stack, root)
		for len(stack) > 0 {
			i := stack[len(stack)-1]
			if next[i] == len(needs[i]) {
				state[i] = left
				order = append(order, i)
				stack = stack[:len(stack)-1]
				continue
			}
			k := needs[i][next[i]]
			next[i]++
			switch state[k] {
			case untouched:
				state[k] = entered
				stack = append(stack, k)
			case entered:
				if inCycle == nil {
					inCycle = make([]bool, n)
				}
				if c := cycleFrom(stack, k, inCycle); c != nil {
					cycles = append(cycles, c)
				}
			}
		}
	}
	return order, cycles
}

// cycleFrom cuts the cycle that returns to k out of the path being walked,
// unless one of its nodes is in a cycle that has already been found.
func cycleFrom(stack []int, k int, inCycle []bool) []int {
	at := len(stack) - 1
	for ; stack[at] != k; at-- {
		if inCycle[stack[at]] {
			return nil
		}
	}
	if inCycle[k] {
		return nil
	}
	cycle := make([]int, 0, len(stack)-at)
	low := 0
	for _, i := range stack[at:] {
		inCycle[i] = true
		cycle = append(cycle, i)
		if i < cycle[low] {
			low = len(cycle) - 1
		}
	}
	return append(cycle[low:len(cycle):len(cycle)], cycle[:low]...)
}

// Len returns the number of nodes.
func (g *Graph) Len() int { return len(g.order) }

// Order returns all nodes so that each comes after its needs. A plan that
// is already written in such an order keeps it; otherwise a node that comes
// too late is moved to just before the first one that needs it.
func (g *Graph) Order() []int { return slices.Clone(g.order) }

// Ancestors returns the given nodes and everything that they need, directly or
// not, ascending.
func (g *Graph) Ancestors(of ...int) []int {
	seen := make([]bool, g.Len())
	var stack []int
	add := func(i int) {
		if !seen[i] {
			seen[i] = true
			stack = append(stack, i)
		}
	}
	for _, i := range of {
		add(i)
	}
	for len(stack) > 0 {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for _, k := range g.needs[i] {
			add(k)
		}
	}
	var out []int
	for i, ok := range seen {
		if ok {
			out = append(out, i)
		}
	}
	return out
}

// Levels returns for every node the number of nodes on the longest chain below
// it: 0 for a node that needs nothing. It is for drawing; scheduling has no
// levels.
func (g *Graph) Levels() []int {
	level := make([]int, g.Len())
	for _, i := range g.order {
		for _, k := range g.needs[i] {
			level[i] = max(level[i], level[k]+1)
		}
	}
	return level
}
