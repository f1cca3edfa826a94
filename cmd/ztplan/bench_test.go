package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// binary returns a built binary; make bench builds them.
func binary(b *testing.B, name string) string {
	b.Helper()
	dir := os.Getenv("ZTPLAN_BIN")
	if dir == "" {
		b.Skip("run make bench: it builds the binaries and sets ZTPLAN_BIN")
	}
	return filepath.Join(dir, name)
}

// BenchmarkVersion is the time to start and print the version; the limit is 50
// ms.
func BenchmarkVersion(b *testing.B) {
	bin := binary(b, "ztplan")
	for b.Loop() {
		if err := exec.Command(bin, "version").Run(); err != nil {
			b.Fatal(err)
		}
	}
	ms := float64(b.Elapsed().Microseconds()) / 1000 / float64(b.N)
	b.ReportMetric(ms, "ms")
	b.ReportMetric(ms/50, "of-limit")
}

// BenchmarkLabReady is the time from nothing to a lab that answers; the limit
// is 5 s on two cores.
func BenchmarkLabReady(b *testing.B) {
	bin, dir := binary(b, "ztlab"), b.TempDir()
	for b.Loop() {
		lab(b, bin, "up", dir)
		b.StopTimer()
		lab(b, bin, "down", dir, "--purge")
		b.StartTimer()
	}
	s := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(s, "s")
	b.ReportMetric(s/5, "of-limit")
}

// BenchmarkGuide runs plans/lab.yaml on a fresh lab. Its wall time must be
// within 10 % of its critical path, and a second run is measured as well.
func BenchmarkGuide(b *testing.B) {
	ztplan, ztlab := binary(b, "ztplan"), binary(b, "ztlab")
	var first, second engine.Summary
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		lab(b, ztlab, "up", dir)
		b.StartTimer()
		first = guide(b, ztplan, dir)
		b.StopTimer()
		second = guide(b, ztplan, dir)
		lab(b, ztlab, "down", dir, "--purge")
		b.StartTimer()
	}
	b.ReportMetric(first.WallSeconds, "s-first")
	b.ReportMetric(first.WallSeconds/first.CriticalSeconds, "wall/critical")
	b.ReportMetric(second.WallSeconds, "s-second")
}

func lab(b *testing.B, bin, verb, dir string, more ...string) {
	b.Helper()
	if out, err := exec.Command(bin, append([]string{verb, "--lab-dir", dir}, more...)...).CombinedOutput(); err != nil {
		b.Fatalf("ztlab %s: %v\n%s", verb, err, out)
	}
}

func guide(b *testing.B, bin, dir string) engine.Summary {
	b.Helper()
	out, err := exec.Command(bin, "run", "../../plans/lab.yaml", "--lab", "--lab-dir", dir, "--output", "json").Output()
	if err != nil {
		b.Fatalf("ztplan run: %v\n%s", err, out)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var end engine.Event
	if err := json.Unmarshal(lines[len(lines)-1], &end); err != nil || end.Summary == nil {
		b.Fatalf("the last event is no summary: %s", lines[len(lines)-1])
	}
	return *end.Summary
}

// BenchmarkPeers runs one graph of nodes that do nothing through ztplan and
// through each peer, process against process in the same run, and gives the
// ratio of the peer's time to ztplan's. Peers that are not installed are left
// out. The engine alone is measured by BenchmarkSchedule in engine/run.
func BenchmarkPeers(b *testing.B) {
	const nodes = 1000
	for _, p := range []peer{
		{name: "make", file: "Makefile", line: makeRule, head: makeHead, run: []string{"make", "-s", fmt.Sprintf("-j%d", runtime.NumCPU()), "all"}},
		{
			name: "terraform", file: "main.tf", line: terraformResource,
			prepare: []string{"terraform", "init", "-input=false"},
			run:     []string{"terraform", "apply", "-auto-approve", "-input=false", "-no-color"},
			forget:  []string{"terraform.tfstate", "terraform.tfstate.backup"},
		},
	} {
		b.Run(fmt.Sprintf("%s/%d", p.name, nodes), func(b *testing.B) {
			own := peer{name: "ztplan", file: "plan.yaml", line: planStep, head: planHead, run: []string{binary(b, "ztplan"), "run", "plan.yaml", "--output", "json"}}
			mine, theirs := own.stage(b, nodes), p.stage(b, nodes)
			var took [2]time.Duration
			for b.Loop() {
				took[0] += mine()
				took[1] += theirs()
			}
			b.ReportMetric(took[0].Seconds()/float64(b.N), "s/ztplan")
			b.ReportMetric(took[1].Seconds()/float64(b.N), "s/"+p.name)
			b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "ratio")
		})
	}
}

// A peer is a command that runs a graph: its form as a file, and how it is run.
type peer struct {
	name, file   string
	head         func(nodes int) string
	line         func(node int, needs []int) string
	prepare, run []string
	forget       []string // leftovers of a run that would spare the next one work
}

// stage writes the graph and returns a function that runs it once and returns the
// time.
func (p peer) stage(b *testing.B, nodes int) func() time.Duration {
	if _, err := exec.LookPath(p.run[0]); err != nil {
		b.Skipf("%s is not installed", p.name)
	}
	dir := b.TempDir()
	var text strings.Builder
	if p.head != nil {
		text.WriteString(p.head(nodes))
	}
	for i := range nodes {
		var needs []int
		for _, back := range []int{1, 7, 31} {
			if j := i - back*(1+i%3); j >= 0 {
				needs = append(needs, j)
			}
		}
		text.WriteString(p.line(i, needs))
	}
	if err := os.WriteFile(filepath.Join(dir, p.file), []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	command := func(args []string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = dir
		return cmd.CombinedOutput()
	}
	if p.prepare != nil {
		if out, err := command(p.prepare); err != nil {
			b.Skipf("%v: %v\n%s", p.prepare, err, out)
		}
	}
	return func() time.Duration {
		for _, name := range p.forget {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				b.Fatal(err)
			}
		}
		began := time.Now()
		if out, err := command(p.run); err != nil {
			b.Fatalf("%v: %v\n%s", p.run, err, out)
		}
		return time.Since(began)
	}
}

func makeHead(nodes int) string {
	var s strings.Builder
	s.WriteString("all:")
	for i := range nodes {
		fmt.Fprintf(&s, " n%d", i)
	}
	return s.String() + "\n"
}

func makeRule(node int, needs []int) string {
	return fmt.Sprintf("n%d:%s\n\t@:\n", node, each(" n%d", needs))
}

func terraformResource(node int, needs []int) string {
	return fmt.Sprintf("resource \"terraform_data\" \"n%d\" {\n  depends_on = [%s]\n}\n", node, each("terraform_data.n%d, ", needs))
}

// Steps whose condition is false contact nothing, and the steps that need them go
// on.
func planHead(int) string {
	return "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: bench}\nvars: {on: false}\nsteps:\n"
}

func planStep(node int, needs []int) string {
	return fmt.Sprintf("  - {id: n%d, uses: vaultUnseal, needs: [%s], when: \"${vars.on}\", with: {keys: {file: keys.json}}}\n",
		node, strings.TrimSuffix(each("n%d, ", needs), ", "))
}

func each(format string, needs []int) string {
	var s strings.Builder
	for _, j := range needs {
		fmt.Fprintf(&s, format, j)
	}
	return s.String()
}
