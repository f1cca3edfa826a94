package run_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// layered is a realistic graph: each step needs up to three of the few dozen
// before it.
func layered(n int) []run.Node {
	nodes := make([]run.Node, n)
	for i := range nodes {
		var needs []string
		for _, back := range []int{1, 7, 31} {
			if j := i - back*(1+i%3); j >= 0 {
				needs = append(needs, fmt.Sprint("step-", j))
			}
		}
		nodes[i] = node(fmt.Sprint("step-", i), needs, same)
	}
	return nodes
}

func BenchmarkSchedule(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			nodes := layered(n)
			events := 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := run.Run(b.Context(), nodes, run.Options{Parallel: runtime.NumCPU(), Sink: func(engine.Event) { events++ }}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/run")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/step")
		})
	}
}
