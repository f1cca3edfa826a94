package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// chain is a plan of n objects, each after the one before.
func chain(name string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: %s}\nsteps:\n", name)
	for i := range n {
		fmt.Fprintf(&b, "  - id: s%d\n    uses: applyManifest\n", i)
		if i > 0 {
			fmt.Fprintf(&b, "    needs: [s%d]\n", i-1)
		}
		fmt.Fprintf(&b, "    with: {namespace: default, manifests: {apiVersion: v1, kind: ConfigMap, metadata: {name: %s-%d}, data: {value: %q}}}\n", name, i, name)
	}
	return b.String()
}

// process returns a command that is ztplan, in a directory of its own with a plan, on
// the lab that make test starts.
func process(t *testing.T, plan string, args ...string) *exec.Cmd {
	t.Helper()
	lab := os.Getenv("ZTPLAN_LAB_DIR")
	if lab == "" {
		t.Skip("make test starts the lab")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), roleVariable+"=ztplan", "HOME="+dir, "XDG_STATE_HOME="+filepath.Join(dir, "state"),
		"XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "KUBECONFIG="+filepath.Join(lab, "kubeconfig"), "TMPDIR="+dir)
	return cmd
}

// A reader that goes away in the middle stops the run as an interrupt does: the
// running edit is finished, the evidence is written, and the next run goes on.
func TestBrokenPipeStopsTheRun(t *testing.T) {
	const steps = 30
	plan := chain("broken-pipe", steps)
	for _, stream := range []string{"stdout", "stderr"} {
		t.Run(stream, func(t *testing.T) {
			// In this form events are on standard output and text is on standard error.
			cmd := process(t, strings.ReplaceAll(plan, "broken-pipe", "broken-"+stream), "run", "plan.yaml", "--report", "report", "-v", "-o", "json")
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			var other bytes.Buffer
			cmd.Stdout, cmd.Stderr = w, &other
			if stream == "stderr" {
				cmd.Stdout, cmd.Stderr = &other, w
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			_ = w.Close()
			lines := bufio.NewScanner(r)
			for lines.Scan() && !strings.Contains(lines.Text(), "s1") {
			}
			_ = r.Close()
			err = cmd.Wait()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != cli.Interrupted {
				t.Fatalf("%v, want exit status %d\n%s", err, cli.Interrupted, other.String())
			}
			data, err := os.ReadFile(filepath.Join(cmd.Dir, "report", "evidence.json"))
			if err != nil {
				t.Fatal(err)
			}
			d, checks := verify.Evidence(data)
			for _, c := range checks {
				if !c.Holds() {
					t.Errorf("evidence: %s: %v", c.Name, c.Problems)
				}
			}
			if d.Result() != engine.ResultInterrupted {
				t.Errorf("the evidence says %s", d.Result())
			}
			for _, s := range d.Steps {
				for _, e := range s.Edits {
					if e.Unknown {
						t.Errorf("%s: the edit of %s was cut off", s.ID, e.Path)
					}
				}
			}
		})
	}
}

// Output that goes to a disk that is full from the beginning stops the run before
// its first write.
func TestOutputOnAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	var stderr bytes.Buffer
	cmd := process(t, chain("output-full", 1), "run", "plan.yaml")
	cmd.Stdout, cmd.Stderr = full, &stderr
	_ = cmd.Run()
	if cmd.ProcessState.ExitCode() != cli.Interrupted || !strings.Contains(stderr.String(), "ztplan: standard output: ") {
		t.Errorf("%v\n%s", cmd.ProcessState, stderr.String())
	}
}
