package dag_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine/dag"
)

func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		name  string
		needs [][]int
		want  []int
	}{
		{"empty", nil, []int{}},
		{"independent nodes keep the plan's order", make([][]int, 4), []int{0, 1, 2, 3}},
		{"a plan in order stays", [][]int{nil, {0}, nil, {1, 2}}, []int{0, 1, 2, 3}},
		{"a need that comes too late moves forward", [][]int{{2}, nil, nil}, []int{2, 0, 1}},
		{"needs in the order written", [][]int{{2, 1}, nil, nil}, []int{2, 1, 0}},
		{"a need listed twice", [][]int{{1, 1}, nil}, []int{1, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := dag.New(tt.needs)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, g.Order()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCycle(t *testing.T) {
	for _, tt := range []struct {
		name  string
		needs [][]int
		want  [][]int
		text  string
	}{
		{"itself", [][]int{{0}}, [][]int{{0}}, "cycle: 0 -> 0"},
		{"two", [][]int{{1}, {0}}, [][]int{{0, 1}}, "cycle: 0 -> 1 -> 0"},
		{"begins with the lowest", [][]int{nil, {3}, {1}, {2}}, [][]int{{1, 3, 2}}, "cycle: 1 -> 3 -> 2 -> 1"},
		{"without what leads to it", [][]int{{1}, {2}, {3}, {2}}, [][]int{{2, 3}}, "cycle: 2 -> 3 -> 2"},
		{"two that have nothing in common", [][]int{{1}, {0}, {3}, {2}}, [][]int{{0, 1}, {2, 3}}, "cycle: 0 -> 1 -> 0"},
		{"two that share a node", [][]int{{1, 2}, {0}, {0}}, [][]int{{0, 1}}, "cycle: 0 -> 1 -> 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := dag.New(tt.needs)
			var cycle *dag.CycleError
			if !errors.As(err, &cycle) || g != nil {
				t.Fatalf("New = %v, %v; want a CycleError", g, err)
			}
			if d := cmp.Diff(tt.want, cycle.Cycles); d != "" {
				t.Error(d)
			}
			if err.Error() != tt.text {
				t.Errorf("got %q, want %q", err, tt.text)
			}
		})
	}
}

func TestReach(t *testing.T) {
	g, err := dag.New([][]int{nil, {0}, {0}, {1, 2}, nil, {4}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		got, want []int
	}{
		{"ancestors of the join", g.Ancestors(3), []int{0, 1, 2, 3}},
		{"ancestors of two", g.Ancestors(1, 5), []int{0, 1, 4, 5}},
		{"of none", g.Ancestors(), nil},
		{"levels", g.Levels(), []int{0, 1, 1, 2, 0, 1}},
	} {
		if d := cmp.Diff(tt.want, tt.got); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

func TestSchedule(t *testing.T) {
	g, err := dag.New([][]int{nil, {0}, {0}, {1, 2}, nil})
	if err != nil {
		t.Fatal(err)
	}
	s := g.Schedule()
	if d := cmp.Diff([]int{0, 4}, s.Start()); d != "" {
		t.Fatal(d)
	}
	for _, step := range []struct {
		done int
		want []int
	}{{0, []int{1, 2}}, {2, []int{}}, {4, []int{}}, {1, []int{3}}, {3, []int{}}} {
		if d := cmp.Diff(step.want, s.Done(step.done)); d != "" {
			t.Errorf("after %d: %s", step.done, d)
		}
	}
}

func TestScheduleRefuses(t *testing.T) {
	g, err := dag.New([][]int{nil, {0}})
	if err != nil {
		t.Fatal(err)
	}
	for name, misuse := range map[string]func(*dag.Schedule){
		"a node that is not ready": func(s *dag.Schedule) { s.Done(1) },
		"a node twice":             func(s *dag.Schedule) { s.Done(0); s.Done(0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			misuse(g.Schedule())
		})
	}
}

func TestCriticalPath(t *testing.T) {
	g, err := dag.New([][]int{nil, {0}, {0}, {1, 2}, nil})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		duration []time.Duration
		path     []int
		total    time.Duration
	}{
		{"the longer branch", []time.Duration{1, 5, 2, 1, 3}, []int{0, 1, 3}, 7},
		{"the other branch", []time.Duration{1, 2, 5, 1, 3}, []int{0, 2, 3}, 7},
		{"a single node", []time.Duration{1, 1, 1, 1, 9}, []int{4}, 9},
		{"equal branches: the first", []time.Duration{1, 2, 2, 1, 4}, []int{0, 1, 3}, 4},
		{"negative counts as nothing", []time.Duration{-9, 1, 0, 1, 0}, []int{0, 1, 3}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, total := g.CriticalPath(tt.duration)
			if d := cmp.Diff(tt.path, path); d != "" {
				t.Error(d)
			}
			if total != tt.total {
				t.Errorf("total %d, want %d", total, tt.total)
			}
		})
	}
	if path, total := must(dag.New(nil)).CriticalPath(nil); path != nil || total != 0 {
		t.Errorf("of nothing: %v, %v", path, total)
	}
}

func must(g *dag.Graph, err error) *dag.Graph {
	if err != nil {
		panic(err)
	}
	return g
}

// graphOf reads a graph from fuzz input: two bytes an edge.
func graphOf(data []byte) [][]int {
	needs := make([][]int, 32)
	for ; len(data) >= 2; data = data[2:] {
		i, k := int(data[0])%32, int(data[1])%32
		needs[i] = append(needs[i], k)
	}
	return needs
}

func FuzzGraph(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0, 2, 1, 3, 2})
	f.Add([]byte{0, 1, 1, 2, 2, 0})
	f.Add([]byte{0, 0})
	f.Add([]byte{5, 9, 9, 5, 1, 2, 2, 1, 5, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		needs := graphOf(data)
		g, err := dag.New(needs)
		var circle *dag.CycleError
		if errors.As(err, &circle) {
			seen := make(map[int]bool)
			for _, c := range circle.Cycles {
				for i, n := range c {
					if next := c[(i+1)%len(c)]; !slices.Contains(needs[n], next) {
						t.Fatalf("%v is no cycle: %d does not need %d", c, n, next)
					}
					if seen[n] {
						t.Fatalf("%v: %d is listed twice", circle.Cycles, n)
					}
					seen[n] = true
				}
			}
			return
		}
		place := make([]int, len(needs))
		for i, n := range g.Order() {
			place[n] = i
		}
		duration := make([]time.Duration, len(needs))
		for i, ns := range needs {
			duration[i] = time.Duration(i%7) * time.Second
			for _, k := range ns {
				if place[k] >= place[i] {
					t.Fatalf("%d needs %d, but comes first", i, k)
				}
			}
		}
		// In any order of ends, every node becomes ready once, after its needs.
		s := g.Schedule()
		ready, done := s.Start(), make([]bool, len(needs))
		r := rand.New(rand.NewPCG(1, uint64(len(data))))
		for len(ready) > 0 {
			at := r.IntN(len(ready))
			n := ready[at]
			ready = slices.Delete(ready, at, at+1)
			if done[n] {
				t.Fatalf("%d is ready twice", n)
			}
			for _, k := range needs[n] {
				if !done[k] {
					t.Fatalf("%d is ready before %d", n, k)
				}
			}
			done[n] = true
			ready = append(ready, s.Done(n)...)
		}
		if left := slices.Index(done, false); left >= 0 {
			t.Fatalf("node %d never became ready", left)
		}
		path, total := g.CriticalPath(duration)
		var sum time.Duration
		for i, n := range path {
			sum += duration[n]
			if i > 0 && !slices.Contains(needs[n], path[i-1]) {
				t.Fatalf("critical path %v: %d does not need %d", path, n, path[i-1])
			}
		}
		if sum != total {
			t.Fatalf("critical path %v takes %v, not %v", path, sum, total)
		}
	})
}

// TestDeep makes sure that nothing recurses.
func TestDeep(t *testing.T) {
	const n = 1_000_000
	needs := make([][]int, n)
	for i := range n - 1 {
		needs[i] = []int{i + 1}
	}
	g, err := dag.New(needs)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Order()[0]; got != n-1 {
		t.Errorf("order begins with %d", got)
	}
	if got := len(g.Ancestors(0)); got != n {
		t.Errorf("%d ancestors", got)
	}
}

// realistic returns a graph of n nodes with about three edges each, most of
// them to nodes nearby.
func realistic(n int) [][]int {
	r := rand.New(rand.NewPCG(1, 2))
	needs := make([][]int, n)
	for i := 1; i < n; i++ {
		for range 3 {
			needs[i] = append(needs[i], max(0, i-1-r.IntN(min(i, 200))))
		}
	}
	return needs
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		needs := realistic(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := dag.New(needs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSchedule(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		g := must(dag.New(realistic(n)))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			queue := make([]int, 0, n)
			for b.Loop() {
				s := g.Schedule()
				queue = append(queue[:0], s.Start()...)
				for i := 0; i < len(queue); i++ {
					queue = append(queue, s.Done(queue[i])...)
				}
				if len(queue) != n {
					b.Fatal("nodes are left")
				}
			}
		})
	}
}
