package node

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A worker runs one pod. One goroutine, [worker.run], owns everything about its
// containers; all others send it events.
type worker struct {
	a               *Agent
	uid             types.UID
	namespace, name string
	controller      types.UID // "" without one
	dir             string
	sources         map[source]bool // objects that the pod refers to; never changes
	notBefore       time.Time       // when the containers start at the earliest; never changes
	status          *publisher

	wake     chan struct{} // buffered: something below mu changed
	events   chan event
	commands chan command
	stopped  chan struct{} // closed when the worker's loop has ended

	mu     sync.Mutex
	latest *corev1.Pod
	stale  bool // a source or the pod's metadata changed
	gone   bool // the API object has vanished

	// Owned by the loop.
	pod        *corev1.Pod // with the addresses that its status will have
	ip         string
	startTime  metav1.Time
	volumes    *volumes
	mounted    bool
	containers []*cont
	ending     bool // its containers are being ended
	overdue    bool // they have been, at the pod's deadline
}

// An event comes from a container's process.
type event struct {
	c      *cont
	run    int
	report *container.Report
	exit   *exit
}

// A command is a request to end a container.
type command struct {
	container string
	kill      bool // SIGKILL and back-off, instead of a graceful restart
	done      chan error
}

// newWorker prepares a worker for a pod.
func newWorker(a *Agent, pod *corev1.Pod) *worker {
	w := &worker{
		a:         a,
		uid:       pod.UID,
		namespace: pod.Namespace,
		name:      pod.Name,
		dir:       filepath.Join(a.conf.StateDir, "pods", string(pod.UID)),
		sources:   sourcesOf(pod),
		wake:      make(chan struct{}, 1),
		events:    make(chan event),
		commands:  make(chan command),
		stopped:   make(chan struct{}),
		latest:    pod,
		stale:     true,
		startTime: metav1.Now(),
	}
	if t := pod.Status.StartTime; t != nil {
		w.startTime = *t
	}
	if owner := metav1.GetControllerOf(pod); owner != nil {
		w.controller = owner.UID
	}
	w.status = newPublisher(a, pod)
	w.volumes = &volumes{
		dir:    filepath.Join(w.dir, "volumes"),
		tokens: tokens{request: a.requestFor(pod), now: time.Now},
		from:   namespaced{a, pod.Namespace},
		claims: func(ctx context.Context, name string) (string, error) { return a.claimPath(ctx, pod.Namespace, name) },
	}
	return w
}

// update gives the worker the pod's newest form.
func (w *worker) update(pod *corev1.Pod) {
	w.mu.Lock()
	if !maps.Equal(pod.Labels, w.latest.Labels) || !maps.Equal(pod.Annotations, w.latest.Annotations) {
		w.stale = true // the downward API may show it
	}
	w.latest = pod
	w.mu.Unlock()
	w.signal()
}

// refresh has the worker read again the objects that its pod refers to.
func (w *worker) refresh() {
	w.mu.Lock()
	w.stale = true
	w.mu.Unlock()
	w.signal()
}

// vanish ends the worker of a pod that does not exist any more.
func (w *worker) vanish() {
	w.mu.Lock()
	w.gone = true
	w.mu.Unlock()
	w.signal()
}

// vanished reports whether the pod's object is gone.
func (w *worker) vanished() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone
}

// leaves reports whether the pod is being deleted or its object is gone.
func (w *worker) leaves() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone || w.latest.DeletionTimestamp != nil
}

func (w *worker) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// send gives an event to the loop, unless that has ended.
func (w *worker) send(e event) {
	select {
	case w.events <- e:
	case <-w.stopped:
	}
}

// run is the worker's loop. It ends when the pod is gone, or when ctx ends and
// every container has stopped.
func (w *worker) run(ctx context.Context) {
	defer close(w.stopped)
	defer w.status.stop()
	w.take()
	w.ip = w.address()
	defer w.a.ips.release(w.ip)
	w.take() // now with the address
	w.containers = newContainers(w.pod, w.a.component, time.Now())
	for _, c := range w.containers {
		c.startAt = w.notBefore
	}

	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		stale, gone := w.take()
		switch {
		case gone:
			w.endContainers(ctx)
			w.clean()
			return
		case ctx.Err() != nil:
			w.stopAll()
			return
		case w.pod.DeletionTimestamp != nil:
			w.terminate(ctx)
			return
		}
		if d := w.deadline(); !d.IsZero() && !time.Now().Before(d) {
			w.expire(ctx)
			continue
		}
		next := w.step(ctx, stale)
		w.publish(w.overdue)
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(max(time.Until(next), 0))
		}
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-timer.C:
		case e := <-w.events:
			w.handle(e)
		case cmd := <-w.commands:
			w.obey(ctx, cmd)
		}
	}
}

// take makes the newest form of the pod the loop's own.
func (w *worker) take() (stale, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pod == nil || w.pod.ResourceVersion != w.latest.ResourceVersion || w.pod.Status.PodIP != w.ip {
		pod := w.latest.DeepCopy()
		pod.Status.HostIP = w.a.conf.NodeAddress
		pod.Status.HostIPs = []corev1.HostIP{{IP: w.a.conf.NodeAddress}}
		if w.ip != "" {
			pod.Status.PodIP = w.ip
			pod.Status.PodIPs = []corev1.PodIP{{IP: w.ip}}
		}
		w.pod = pod
	}
	stale, w.stale = w.stale, false
	return stale, w.gone
}

// address takes the pod's address.
func (w *worker) address() string {
	if w.pod.Spec.HostNetwork {
		return w.a.conf.NodeAddress
	}
	return w.a.ips.take(w.pod.Status.PodIP)
}

// step does everything that can be done now, and returns when there will be
// more to do; zero means only after an event.
func (w *worker) step(ctx context.Context, stale bool) (next time.Time) {
	soonest := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	// A kubelet leaves the volumes of a pod alone whose containers have ended.
	if w.overdue || len(w.containers) > 0 && !slices.ContainsFunc(w.containers, func(c *cont) bool { return !c.done }) {
		return next
	}
	soonest(w.deadline())
	now := time.Now()
	if due := w.volumes.tokens.due(); stale || !w.mounted || !due.IsZero() && !now.Before(due) {
		if err := w.mount(ctx); err != nil {
			w.mu.Lock()
			w.stale = true
			w.mu.Unlock()
			soonest(now.Add(volumeRetry))
			if !w.mounted {
				return next
			}
		} else {
			soonest(w.volumes.tokens.due())
		}
	} else {
		soonest(due)
	}

	for _, c := range w.containers {
		if c.done || c.running() {
			if c.init && c.running() {
				return next // the next one waits for it
			}
			if c.init && c.state.Terminated != nil && c.state.Terminated.ExitCode != 0 {
				return next // failed for good
			}
			continue
		}
		if time.Now().Before(c.startAt) {
			soonest(c.startAt)
			if c.init {
				return next
			}
			continue
		}
		if err := w.start(ctx, c); err != nil {
			w.failed(c, err)
			soonest(c.startAt)
			if c.init {
				return next
			}
			continue
		}
		w.a.events.Eventf(w.pod, corev1.EventTypeNormal, "Started", "Started container %s", c.spec.Name)
		if c.init && !c.done {
			return next
		}
	}
	return next
}

// mount fills the pod's volumes, and shows the problem if that is impossible.
func (w *worker) mount(ctx context.Context) error {
	err := w.volumes.sync(ctx, w.pod)
	switch {
	case err == nil:
		w.mounted = true
	case ctx.Err() != nil:
	default:
		problem := mountProblem(err)
		w.a.conf.Logf("%s/%s: %s", w.namespace, w.name, problem)
		for _, c := range w.containers {
			if waiting := c.state.Waiting; !w.mounted && waiting != nil && waiting.Message != problem {
				c.wait(waiting.Reason, problem)
				w.a.events.Eventf(w.pod, corev1.EventTypeWarning, "FailedMount", "MountVolume.SetUp failed: %s", problem)
			}
		}
	}
	return err
}

// configRetry is how long a container waits whose configuration is incomplete;
// a change of a ConfigMap or Secret that it names is seen at once.
const configRetry = time.Second

// exitNotStarted is the exit code of a container whose program could not be started.
const exitNotStarted = 128

// failed records that a container could not be started.
func (w *worker) failed(c *cont, err error) {
	w.a.conf.Logf("%s/%s/%s: %v", w.namespace, w.name, c.spec.Name, err)
	reason := "CreateContainerConfigError"
	var start *startError
	switch {
	case errors.As(err, &start) && start.reason == reasonStart:
		w.a.events.Eventf(w.pod, corev1.EventTypeWarning, "Failed", "Error: %v", err)
		c.started(time.Now())
		c.ended(w.pod, exit{code: exitNotStarted, reason: start.reason, message: err.Error()}, time.Now())
		return
	case start != nil:
		reason = start.reason
	case c.running(): // the process itself could not be started
		c.ended(w.pod, exit{code: exitNotStarted}, time.Now())
		reason = "RunContainerError"
	}
	if waiting := c.state.Waiting; waiting == nil || waiting.Message != err.Error() {
		w.a.events.Eventf(w.pod, corev1.EventTypeWarning, "Failed", "Error: %v", err)
	}
	c.wait(reason, err.Error())
	c.done = false
	c.startAt = time.Now().Add(configRetry)
}

// handle applies an event.
func (w *worker) handle(e event) {
	if e.run != e.c.run || !e.c.running() {
		return // from an earlier run
	}
	if e.exit != nil {
		e.c.ended(w.pod, *e.exit, time.Now())
		if e.c.state.Waiting != nil {
			w.a.events.Eventf(w.pod, corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)",
				e.c.spec.Name, w.name, w.namespace, w.uid)
		}
		return
	}
	was := e.c.message
	e.c.reported(*e.report)
	if e.c.message != "" && e.c.message != was && e.c.spec.ReadinessProbe != nil {
		w.a.events.Eventf(w.pod, corev1.EventTypeWarning, "Unhealthy", "Not ready: %s", e.c.message)
	}
}

// obey carries out a command.
func (w *worker) obey(ctx context.Context, cmd command) {
	for _, c := range w.containers {
		if c.spec.Name != cmd.container {
			continue
		}
		switch {
		case c.done || c.init:
			cmd.done <- errEnded
		case !c.running() && cmd.kill:
			cmd.done <- errEnded
		case !c.running():
			c.backoff, c.startAt = backoff{}, time.Time{}
			c.restarted = append(c.restarted, cmd.done)
		case cmd.kill:
			c.killed = append(c.killed, cmd.done)
			if c.child != nil {
				c.child.Kill()
			} else {
				c.ended(w.pod, exit{code: exitKilled}, time.Now())
			}
		default:
			c.replacing = true
			c.restarted = append(c.restarted, cmd.done)
			if c.child == nil {
				c.ended(w.pod, exit{}, time.Now())
			} else {
				child := c.child
				w.a.running.Go(func() {
					ctx, cancel := context.WithTimeout(ctx, shutdownGrace)
					defer cancel()
					child.Stop(ctx)
				})
			}
		}
		return
	}
	cmd.done <- errEnded
}

// shutdownGrace is how long containers may take when the lab itself stops, or
// a restart is asked for; a component that needs longer is killed.
const shutdownGrace = 3 * time.Second

// stopAll ends every container when the lab stops, without hooks, and returns
// when all of them are gone.
func (w *worker) stopAll() {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	var all sync.WaitGroup
	for _, c := range w.containers {
		if child := c.child; child != nil {
			all.Go(func() { child.Stop(ctx) })
		}
	}
	all.Wait()
	for _, c := range w.containers {
		switch {
		case c.child != nil:
			c.ended(w.pod, exit{code: exitCode(c.child.Err())}, time.Now())
		case c.running():
			c.ended(w.pod, exit{}, time.Now())
		}
		for _, done := range c.restarted {
			done <- errEnded
		}
		c.restarted = nil
	}
}

// clean removes the pod's files on the host, except its logs and the volumes of its
// claims.
func (w *worker) clean() {
	if err := os.RemoveAll(w.dir); err != nil {
		w.a.conf.Logf("%s/%s: %v", w.namespace, w.name, err)
	}
}
