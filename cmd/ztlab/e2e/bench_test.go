package e2e_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// BenchmarkUp measures "ztlab up" of a new lab, from the command to the moment
// when every part answers. The target is 5 s on two cores, warm.
func BenchmarkUp(b *testing.B) {
	path, err := binary()
	if err != nil {
		b.Fatal(err)
	}
	dir := filepath.Join(b.TempDir(), "lab")
	run := func(args ...string) {
		if out, err := exec.Command(path, append(args, "--lab-dir", dir)...).CombinedOutput(); err != nil {
			b.Fatalf("ztlab %s: %v\n%s", args[0], err, out)
		}
	}
	b.Cleanup(func() { run("down", "--purge") })
	for b.Loop() {
		run("up")
		b.StopTimer()
		run("down", "--purge")
		b.StartTimer()
	}
}
