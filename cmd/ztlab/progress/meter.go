package main

import (
	"fmt"
	"math"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// A first build of the lab, measured on Linux (amd64) with Go 1.26: 3,168 packages.
const (
	cpuPerPackage  = 265 * time.Millisecond // processor time
	diskPerPackage = 1.1                    // MB of build cache
	memory         = 2                      // GB, for two compilers or the linker
)

// A meter counts the packages that a build compiles, and shows the count from many
// packages on: the total is not known before, and asking for it takes seconds.
type meter struct {
	out   *printer
	many  int
	intro func(packages int) string
	stale func() ([]string, error) // the packages that remain

	seen    map[string]bool
	total   int // 0: not known
	pending chan []string
	steps   int // twentieths that were shown
}

// compiles counts a package that the go command begins to compile.
func (m *meter) compiles(path string) {
	if m.seen == nil {
		m.seen = map[string]bool{}
	}
	m.seen[path] = true
	if len(m.seen) == m.many {
		m.pending = make(chan []string, 1)
		go func() {
			remaining, _ := m.stale() // without a total there is no progress to show
			m.pending <- remaining
		}()
	}
	if m.total == 0 && !m.counted() {
		return
	}
	if step := 20 * len(m.seen) / m.total; m.out.terminal || step > m.steps {
		m.steps = step
		m.out.status(fmt.Sprintf("compiling: %d of %d packages", len(m.seen), m.total))
	}
	if len(m.seen) == m.total {
		m.out.status("linking")
	}
}

// counted reports whether the total is known, and prints the needs of the build when
// it has become known.
func (m *meter) counted() bool {
	select {
	case remaining := <-m.pending:
		all := map[string]bool{}
		for _, path := range remaining {
			all[path] = true
		}
		for path := range m.seen {
			all[path] = true
		}
		if len(remaining) == 0 {
			return false
		}
		m.total = len(all)
		m.out.pass(m.intro(m.total))
		return true
	default:
		return false
	}
}

// intro returns the needs of a build of so many packages.
func intro(packages int) string {
	wall := time.Duration(packages) * cpuPerPackage / time.Duration(runtime.NumCPU())
	cache, _ := exec.Command("go", "env", "GOCACHE").Output() // the place is a courtesy
	return fmt.Sprintf("compiling %d packages, once: about %.0f min on %d processors, %.1f GB of disk in %s, %d GB of memory\n",
		packages, math.Ceil(wall.Minutes()), runtime.NumCPU(),
		float64(packages)*diskPerPackage/1000, strings.TrimSpace(string(cache)), memory)
}
