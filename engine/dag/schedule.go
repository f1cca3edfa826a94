package dag

// A Schedule hands out nodes the moment the last node that they need is done.
// There are no levels and no barriers. It belongs to one goroutine, the one
// that owns the run, and costs O(V+E) over its life.
type Schedule struct {
	g       *Graph
	waiting []int // how many needs are not done; -1 once the node itself is
	ready   []int // reused by Done
}

// Schedule returns a schedule with no node done.
func (g *Graph) Schedule() *Schedule {
	s := &Schedule{g: g, waiting: make([]int, g.Len())}
	for i, needs := range g.needs {
		s.waiting[i] = len(needs)
	}
	return s
}

// Start returns the nodes that need nothing, ascending.
func (s *Schedule) Start() []int {
	var ready []int
	for i, needs := range s.g.needs {
		if len(needs) == 0 {
			ready = append(ready, i)
		}
	}
	return ready
}

// Done records that node i is over, whether it succeeded, failed or was left
// out, and returns the nodes that have nothing to wait for any more,
// ascending. The slice is valid until the next call.
//
// Done panics if i was not ready or is done already: running a node before its
// needs, or twice, is a bug that must not go on.
func (s *Schedule) Done(i int) []int {
	if s.waiting[i] != 0 {
		panic("dag: Done of a node that is not ready, or is done already")
	}
	s.waiting[i] = -1
	s.ready = s.ready[:0]
	for _, k := range s.g.dependents[i] {
		s.waiting[k]--
		if s.waiting[k] == 0 {
			s.ready = append(s.ready, k)
		}
	}
	return s.ready
}
