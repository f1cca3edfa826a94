package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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

// BenchmarkVersion is the time to start and say the version; the limit is 50 ms.
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

// BenchmarkPeers measures what others take for a graph of nodes that do
// nothing, on the same machine in the same run; compare with
// BenchmarkSchedule in engine/run. Peers that are not installed are left out.
func BenchmarkPeers(b *testing.B) {
	const nodes = 1000
	needs := func(i int) []int {
		var out []int
		for _, back := range []int{1, 7, 31} {
			if j := i - back*(1+i%3); j >= 0 {
				out = append(out, j)
			}
		}
		return out
	}
	b.Run(fmt.Sprintf("make/%d", nodes), func(b *testing.B) {
		var mk strings.Builder
		fmt.Fprintf(&mk, "all:")
		for i := range nodes {
			fmt.Fprintf(&mk, " n%d", i)
		}
		mk.WriteString("\n")
		for i := range nodes {
			fmt.Fprintf(&mk, "n%d:", i)
			for _, j := range needs(i) {
				fmt.Fprintf(&mk, " n%d", j)
			}
			mk.WriteString("\n\t@:\n")
		}
		peer(b, nodes, "Makefile", mk.String(), "make", "-s", fmt.Sprintf("-j%d", runtime.NumCPU()), "all")
	})
	b.Run(fmt.Sprintf("terraform/%d", nodes), func(b *testing.B) {
		var tf strings.Builder
		for i := range nodes {
			fmt.Fprintf(&tf, "resource \"terraform_data\" \"n%d\" {\n  depends_on = [", i)
			for _, j := range needs(i) {
				fmt.Fprintf(&tf, "terraform_data.n%d, ", j)
			}
			tf.WriteString("]\n}\n")
		}
		peer(b, nodes, "main.tf", tf.String(), "terraform", "apply", "-auto-approve", "-input=false", "-no-color")
	})
}

func peer(b *testing.B, nodes int, file, text, command string, args ...string) {
	path, err := exec.LookPath(command)
	if err != nil {
		b.Skipf("%s is not installed", command)
	}
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	if command == "terraform" {
		init := exec.Command(path, "init", "-input=false")
		init.Dir = dir
		if out, err := init.CombinedOutput(); err != nil {
			b.Skipf("terraform init: %v\n%s", err, out)
		}
	}
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	for b.Loop() {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", command, err, out)
		}
		if command == "terraform" {
			b.StopTimer()
			_ = os.Remove(filepath.Join(dir, "terraform.tfstate"))
			_ = os.Remove(filepath.Join(dir, "terraform.tfstate.backup"))
			b.StartTimer()
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/run")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(nodes), "ns/step")
}
