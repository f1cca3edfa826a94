package node

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/utils/exec"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// An executor answers exec requests for one pod.
type executor struct {
	a *Agent
	w *worker
}

// ExecInContainer runs a program that is known for the container's component.
// Where a container would have its files there is a component and no file system:
// all else is an error.
func (e executor) ExecInContainer(ctx context.Context, _, _, name string, cmd []string, in io.Reader, out, errOut io.WriteCloser, tty bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	c, err := e.container(name)
	if err != nil {
		return err
	}
	text := strings.Join(cmd, " ")
	if c.Simulated {
		return fmt.Errorf("%s: container %q is simulated: it has no programs", text, name)
	}
	programs := e.a.conf.Programs[c.Component]
	if len(cmd) == 0 || programs[path.Base(cmd[0])] == nil {
		known := "no programs"
		if len(programs) > 0 {
			known = "no program but " + strings.Join(slices.Sorted(maps.Keys(programs)), ", ")
		}
		return fmt.Errorf("%s: container %q is the lab's built-in component %q: it has no file system and %s; use its API, for example through kubectl port-forward",
			text, name, c.Component, known)
	}
	run := container.Exec{
		Args: cmd[1:], Stdin: in, Stdout: out, Stderr: errOut, TTY: tty,
		Addresses: c.Addresses, Mounts: c.mounts, Dir: e.w.scratch(name),
	}
	if tty { // one stream, for a terminal in raw mode
		run.Stdout = rawTerminal{out}
		run.Stderr = run.Stdout
	}
	if code := programs[path.Base(cmd[0])](ctx, run); code != 0 {
		return exec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
	}
	return nil
}

// container returns the state of one of the pod's containers.
func (e executor) container(name string) (ContainerStatus, error) {
	e.a.mu.Lock()
	defer e.a.mu.Unlock()
	for _, c := range e.a.pods[e.w.uid].containers {
		if c.Name == name {
			return c, nil
		}
	}
	return ContainerStatus{}, fmt.Errorf("container %q not found in pod %q", name, e.w.name)
}

// A rawTerminal ends lines as a terminal in raw mode needs them.
type rawTerminal struct{ io.Writer }

func (t rawTerminal) Write(p []byte) (int, error) {
	if _, err := t.Writer.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
