package node

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// An executor answers exec requests for one pod.
type executor struct {
	a *Agent
	w *worker
}

// ExecInContainer says why no program can be run: where a container would have
// its files there is a component, and no file system.
func (e executor) ExecInContainer(_ context.Context, _, _, container string, cmd []string, _ io.Reader, _, _ io.WriteCloser, _ bool, _ <-chan remotecommand.TerminalSize, _ time.Duration) error {
	e.a.mu.Lock()
	defer e.a.mu.Unlock()
	for _, c := range e.a.pods[e.w.uid].containers {
		if c.Name != container {
			continue
		}
		if c.Simulated {
			return fmt.Errorf("%s: container %q is simulated: it has no programs", strings.Join(cmd, " "), container)
		}
		return fmt.Errorf("%s: container %q is the lab's built-in component %q: it has no file system and no programs; use its API, for example through kubectl port-forward",
			strings.Join(cmd, " "), container, c.Component)
	}
	return fmt.Errorf("container %q not found in pod %q", container, e.w.name)
}
