package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
	"github.com/ztplan/ztplan/cmd/ztlab/process"
)

// The test binary plays the programs that the tests start.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCESS_TEST_ROLE") {
	case "":
		os.Exit(m.Run())
	case "component":
		if err := process.RunComponent(echo); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "late":
		// The signal comes after the end of the input has ended the component.
		if err := process.RunComponent(echo); err != nil {
			os.Exit(1)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	case "stubborn":
		// Holds standard input open and ignores SIGTERM.
		process.TerminateWith(neverEnds{})
		sleepForever()
	case "signalled":
		process.TerminateWith(os.Stdin)
		sleepForever()
	case "parent", "foreign parent":
		parent(os.Getenv("PROCESS_TEST_ROLE") == "foreign parent")
	}
}

func sleepForever() { <-make(chan struct{}) }

type neverEnds struct{}

func (neverEnds) Read([]byte) (int, error) { select {} }

// echo reports its own name as message and, unless it is to fail, waits.
func echo(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	if spec.Name == "fails" {
		return errors.New("as it was told")
	}
	report(container.Report{Message: spec.Name, Listen: map[int]string{80: "127.0.0.1:1"}})
	<-ctx.Done()
	return ctx.Err()
}

// parent starts a component or a foreign program, prints its process id, and is then
// killed.
func parent(foreign bool) {
	g := process.NewGroup()
	ready := make(chan struct{})
	spec := process.Spec{
		Name: "orphan", Path: os.Args[0], Env: role("component"), Output: os.Stdout,
		Input: container.Spec{Name: "orphan"}, Reports: func([]byte) { close(ready) },
	}
	if foreign {
		spec = process.Spec{Name: "orphan", Path: os.Args[0], Env: role("stubborn"), Output: os.Stdout, Foreign: true}
		close(ready)
	}
	c, err := g.Start(spec)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	<-ready
	fmt.Println(c.PID())
	sleepForever()
}

func role(name string) []string { return append(os.Environ(), "PROCESS_TEST_ROLE="+name) }

func spec(t *testing.T, name string) process.Spec {
	t.Helper()
	return process.Spec{Name: name, Path: os.Args[0], Env: role(name), Output: os.Stderr}
}

func TestComponentReportsAndEndsWithItsInput(t *testing.T) {
	g := process.NewGroup()
	defer g.Close()
	lines := make(chan container.Report, 1)
	s := spec(t, "component")
	s.Input = container.Spec{Name: "vault"}
	s.Reports = func(line []byte) {
		var r container.Report
		if err := json.Unmarshal(line, &r); err != nil {
			t.Errorf("report %q: %v", line, err)
		}
		lines <- r
	}
	c, err := g.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	got := <-lines
	if got.Message != "vault" || got.Listen[80] != "127.0.0.1:1" {
		t.Errorf("report = %+v, want the specification's name and port 80", got)
	}
	c.Stop(t.Context())
	if err := c.Err(); err != nil {
		t.Errorf("a component that was asked to end: %v, want no error", err)
	}
}

// SIGTERM and the end of the input come from the same call, and a busy machine may
// deliver them in either order.
func TestSignalAfterTheEndOfTheInput(t *testing.T) {
	g := process.NewGroup()
	defer g.Close()
	s := spec(t, "late")
	reported := make(chan struct{})
	s.Input, s.Reports = container.Spec{Name: "late"}, func([]byte) { close(reported) }
	c, err := g.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	<-reported
	c.Stop(t.Context())
	if err := c.Err(); err != nil {
		t.Errorf("a component that ended before the signal: %v, want exit code 0", err)
	}
}

func TestComponentFails(t *testing.T) {
	g := process.NewGroup()
	defer g.Close()
	s := spec(t, "component")
	s.Input, s.Reports = container.Spec{Name: "fails"}, func([]byte) {}
	c, err := g.Start(s)
	if err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	var exit *exec.ExitError
	if !errors.As(c.Err(), &exit) || exit.ExitCode() != 1 {
		t.Errorf("a component that failed: %v, want exit code 1", c.Err())
	}
}

func TestTerminateWithEndsWhenInputEnds(t *testing.T) {
	g := process.NewGroup()
	defer g.Close()
	c, err := g.Start(spec(t, "signalled"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stop(t.Context())
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	g := process.NewGroup()
	defer g.Close()
	c, err := g.Start(spec(t, "stubborn"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Stop(ctx)
	if alive(c.PID()) {
		t.Errorf("process %d is still there after Stop", c.PID())
	}
}

func TestCloseEndsEveryChildAndRefusesMore(t *testing.T) {
	g := process.NewGroup()
	var children []*process.Child
	for range 3 {
		c, err := g.Start(spec(t, "stubborn"))
		if err != nil {
			t.Fatal(err)
		}
		children = append(children, c)
	}
	g.Close()
	for _, c := range children {
		if alive(c.PID()) {
			t.Errorf("process %d is still there after Close", c.PID())
		}
	}
	if _, err := g.Start(spec(t, "stubborn")); err == nil {
		t.Error("Start after Close succeeded")
	}
}

// The promise of the package: SIGKILL of the parent leaves no child.
func TestKilledParentLeavesNoChild(t *testing.T) {
	t.Run("component", func(t *testing.T) { testKilledParent(t, "parent") })
	t.Run("foreign", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			t.Skip("only Linux has a parent-death signal")
		}
		testKilledParent(t, "foreign parent")
	})
}

func testKilledParent(t *testing.T, as string) {
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = role(as), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 32)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	if err != nil {
		t.Fatalf("the parent said %q", buf[:n])
	}
	if !alive(child) {
		t.Fatalf("child %d is not there before the parent is killed", child)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The child writes to the same pipe, which ends when both are gone.
	if err := out.(*os.File).SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Errorf("child %d outlived its parent: %v", child, err)
	}
	_ = cmd.Wait()
}

// alive reports whether a process runs; one that waits to be reaped does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || syscall.Kill(pid, 0) == nil
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}
