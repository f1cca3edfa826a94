package dag

import (
	"slices"
	"time"
)

// CriticalPath returns the chain of nodes that takes longest, first to last,
// and how long it takes: no run of the graph is shorter, however many nodes
// run at once. duration[i] is the time of node i; negative counts as zero. Of
// equally long chains it names the one whose last nodes come first in the
// plan. The path of an empty graph is empty.
func (g *Graph) CriticalPath(duration []time.Duration) (path []int, total time.Duration) {
	n := g.Len()
	if n == 0 {
		return nil, 0
	}
	finish := make([]time.Duration, n)
	before := make([]int, n) // the need that finishes last, or -1
	for _, i := range g.order {
		before[i] = -1
		var start time.Duration
		for _, k := range g.needs[i] {
			if b := before[i]; b < 0 || finish[k] > start || finish[k] == start && k < b {
				before[i], start = k, finish[k]
			}
		}
		finish[i] = start + max(duration[i], 0)
	}
	last := 0
	for i := range n {
		if finish[i] > finish[last] {
			last = i
		}
	}
	for i := last; i >= 0; i = before[i] {
		path = append(path, i)
	}
	slices.Reverse(path)
	return path, finish[last]
}
