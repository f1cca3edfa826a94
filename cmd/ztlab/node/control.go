package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// A ContainerStatus is the state of one container.
type ContainerStatus struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Name      string `json:"name"`
	Image     string `json:"image"`
	// Component is the built-in component; empty when Simulated.
	Component string `json:"component,omitempty"`
	// PID is the component's process, 0 when none runs.
	PID int `json:"pid,omitempty"`
	// Simulated: nothing stands for the image.
	Simulated bool `json:"simulated"`
	Ready     bool `json:"ready"`
	// Message is the reason why a container that runs or should run is not ready.
	Message string `json:"message,omitempty"`
	// Restarts is the restartCount of the container's status.
	Restarts int32 `json:"restarts"`
	// Completed: the container has ended and will not run again.
	Completed bool `json:"completed,omitempty"`
	// Ending: the pod is being deleted, and the container runs to its end.
	Ending bool `json:"ending,omitempty"`
	// Addresses maps container ports to the loopback addresses, host:port, that
	// serve them.
	Addresses map[int]string `json:"addresses,omitempty"`
	mounts    map[string]string
}

// A snapshot is the published state of one pod.
type snapshot struct {
	uid        types.UID
	ip         string
	containers []ContainerStatus
	runs       map[string]int32 // the latest run of every container that has run
}

// snapshot copies the state that the agent's methods show.
func (w *worker) snapshot() snapshot {
	s := snapshot{uid: w.uid, ip: w.ip, runs: map[string]int32{}}
	for _, c := range w.containers {
		status := ContainerStatus{
			Namespace: w.namespace, Pod: w.name, Name: c.spec.Name, Image: c.spec.Image,
			Component: c.component, Simulated: c.component == "",
			Ready: c.running() && c.ready, Message: c.message, Restarts: c.restarts, Completed: c.done, Ending: w.ending,
			Addresses: maps.Clone(c.listen), mounts: c.mounts,
		}
		if c.id != "" {
			s.runs[c.spec.Name] = c.restarts
		}
		if c.child != nil {
			status.PID = c.child.PID()
		}
		if waiting := c.state.Waiting; waiting != nil && status.Message == "" {
			status.Message = waiting.Reason
			if waiting.Message != "" {
				status.Message = waiting.Reason + ": " + waiting.Message
			}
		}
		s.containers = append(s.containers, status)
	}
	return s
}

// Containers lists every container of the node's pods, sorted by namespace, pod
// and name.
func (a *Agent) Containers() []ContainerStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []ContainerStatus
	for _, s := range a.pods {
		list = append(list, s.containers...)
	}
	slices.SortFunc(list, func(x, y ContainerStatus) int {
		return strings.Compare(x.Namespace+"/"+x.Pod+"/"+x.Name, y.Namespace+"/"+y.Pod+"/"+y.Name)
	})
	return list
}

// Lookup resolves a pod's address and a container port to the loopback address
// that serves it. ok is false when no component listens there: a simulated
// container, a component that is not up, or nothing at all.
func (a *Agent) Lookup(podIP string, port int) (addr string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.pods {
		if s.ip != podIP {
			continue
		}
		if addr, ok := s.port(port); ok {
			return addr, true
		}
	}
	return "", false
}

// port returns the address that serves a port of the pod.
func (s snapshot) port(port int) (string, bool) {
	for _, c := range s.containers {
		if addr, ok := c.Addresses[port]; ok {
			return addr, true
		}
	}
	return "", false
}

var (
	errEnded   = errors.New("the container does not run")
	errUnknown = errors.New("no such container")
)

// Restart ends the containers that selector names, gracefully, and returns when
// their next run has reported for the first time. Their restartCount grows by
// one, and there is no back-off. A selector is a component's name, a pod's name,
// namespace/pod or namespace/pod/container. A container whose pod is being deleted
// is left alone where the selector names another one as well, as the old pods of a
// rollout do for a component.
func (a *Agent) Restart(ctx context.Context, selector string) error {
	return a.command(ctx, selector, false)
}

// Kill ends the containers that selector names with SIGKILL and returns when
// they are gone. They come back as after a crash: at once the first time, later
// after a back-off. See [Agent.Restart] for selectors.
func (a *Agent) Kill(ctx context.Context, selector string) error {
	return a.command(ctx, selector, true)
}

// command sends a command to every matching container and waits for all.
func (a *Agent) command(ctx context.Context, selector string, kill bool) error {
	type target struct {
		w         *worker
		container string
	}
	var targets []target
	names := map[string]bool{}
	a.mu.Lock()
	for uid, s := range a.pods {
		for _, c := range s.containers {
			if c.Completed {
				continue
			}
			if c.Component != "" {
				names[c.Component] = true
			}
			if c.matches(selector) && a.workers[uid] != nil {
				targets = append(targets, target{a.workers[uid], c.Name})
			}
		}
	}
	a.mu.Unlock()
	if len(targets) == 0 {
		return fmt.Errorf("%s: %w; components that run: %s", selector, errUnknown, strings.Join(slices.Sorted(maps.Keys(names)), ", "))
	}
	results := make(chan error, len(targets))
	for _, t := range targets {
		go func() {
			cmd := command{container: t.container, kill: kill, done: make(chan error, 1)}
			err := t.w.do(ctx, cmd)
			if err != nil {
				err = fmt.Errorf("%s/%s: %w", t.w.namespace, t.w.name, err)
			}
			results <- err
		}()
	}
	var errs, ended []error
	for range targets {
		switch err := <-results; {
		case errors.Is(err, errEnded):
			ended = append(ended, err)
		case err != nil:
			errs = append(errs, err)
		}
	}
	if len(ended) == len(targets) {
		errs = ended
	}
	return errors.Join(errs...)
}

// do has the worker carry out a command.
func (w *worker) do(ctx context.Context, cmd command) error {
	select {
	case w.commands <- cmd:
	case <-w.stopped:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-cmd.done:
		return err
	case <-w.stopped:
		return errEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// matches reports whether the selector names the container.
func (c ContainerStatus) matches(selector string) bool {
	switch selector {
	case c.Pod, c.Namespace + "/" + c.Pod, c.Namespace + "/" + c.Pod + "/" + c.Name:
		return true
	}
	return c.Component != "" && c.Component == selector
}
