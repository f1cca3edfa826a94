package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
	"github.com/ztplan/ztplan/cmd/ztlab/process"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/utils/ptr"
)

// runtimeName is the scheme of container and image ids.
const runtimeName = "ztlab"

// A cont is one container of a pod. Only its worker touches it.
type cont struct {
	spec      *corev1.Container
	init      bool   // runs before the others, to completion
	sidecar   bool   // runs before the others, and on
	component string // "" when simulated

	id          string // of the present or last run; "" before the first
	state, last corev1.ContainerState
	restarts    int32
	ready       bool
	message     string            // why it is not ready
	listen      map[int]string    // container port to loopback address
	mounts      map[string]string // mountPath to the directory on the host
	done        bool              // will not run again

	final   bool           // no run follows this one
	child   *process.Child // nil unless a process runs
	run     int            // counts starts by this agent, to recognize late reports
	log     *logFile       // of a simulated container
	backoff backoff
	startAt time.Time // earliest next start

	replacing bool         // ended on request: restarted without back-off
	restarted []chan error // receive when the next run has reported
	killed    []chan error // receive when this run has ended
}

// exitKilled is the exit code of a container that SIGKILL ended.
const exitKilled = 128 + int32(syscall.SIGKILL)

// newContainers returns the containers of a pod, continuing from its status
// when an earlier agent ran it.
func newContainers(pod *corev1.Pod, component func(image string) string, now time.Time) []*cont {
	var list []*cont
	add := func(spec *corev1.Container, init bool, statuses []corev1.ContainerStatus) {
		c := &cont{spec: spec, init: init, component: component(spec.Image)}
		c.sidecar = init && podutil.IsRestartableInitContainer(spec)
		c.init = init && !c.sidecar
		if status, ok := podutil.GetContainerStatus(statuses, spec.Name); ok {
			c.resume(pod, status, now)
		}
		if c.state == (corev1.ContainerState{}) {
			c.wait("ContainerCreating", "")
		}
		list = append(list, c)
	}
	for i := range pod.Spec.InitContainers {
		add(&pod.Spec.InitContainers[i], true, pod.Status.InitContainerStatuses)
	}
	for i := range pod.Spec.Containers {
		add(&pod.Spec.Containers[i], false, pod.Status.ContainerStatuses)
	}
	return list
}

// resume continues from an earlier agent's report. A container that ran then
// has ended with that agent.
func (c *cont) resume(pod *corev1.Pod, status corev1.ContainerStatus, now time.Time) {
	c.restarts, c.last = status.RestartCount, status.LastTerminationState
	c.id = status.ContainerID
	switch {
	case status.State.Terminated != nil:
		c.state = status.State
	case status.State.Running != nil:
		c.state = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 255, Reason: "ContainerStatusUnknown", Message: "the node agent was restarted",
			StartedAt: status.State.Running.StartedAt, FinishedAt: metav1.NewTime(now), ContainerID: status.ContainerID,
		}}
	default:
		return
	}
	c.done = !c.again(pod, c.state.Terminated.ExitCode)
}

// again reports whether the container runs again after it ended with code.
func (c *cont) again(pod *corev1.Pod, code int32) bool {
	if c.final || pod.DeletionTimestamp != nil {
		return false
	}
	if c.init {
		return code != 0 && podutil.ContainerShouldRestart(*c.spec, pod.Spec, code)
	}
	return podutil.ContainerShouldRestart(*c.spec, pod.Spec, code)
}

// wait puts the container into the waiting state.
func (c *cont) wait(reason, message string) {
	if t := c.state.Terminated; t != nil {
		c.last = corev1.ContainerState{Terminated: t}
	}
	c.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// running reports whether the container runs.
func (c *cont) running() bool { return c.state.Running != nil }

// started begins a new run.
func (c *cont) started(now time.Time) {
	if t := c.state.Terminated; t != nil {
		c.last = corev1.ContainerState{Terminated: t}
	}
	if c.id != "" {
		c.restarts++
	}
	c.id = runtimeName + "://" + newID()
	c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now)}}
	c.ready, c.message, c.listen = false, "", nil
	c.replacing = false
	c.run++
}

// An exit is the end of a run.
type exit struct {
	code    int32
	reason  string // "" for the one that follows from the code
	message string // the termination message
}

// ended records the end of a run and decides when the next one may start.
func (c *cont) ended(pod *corev1.Pod, e exit, now time.Time) {
	switch {
	case e.reason != "":
	case e.code == 0:
		e.reason = "Completed"
	default:
		e.reason = "Error"
	}
	t := &corev1.ContainerStateTerminated{ExitCode: e.code, Reason: e.reason, Message: e.message, FinishedAt: metav1.NewTime(now), ContainerID: c.id}
	var ran time.Duration
	if c.state.Running != nil {
		t.StartedAt = c.state.Running.StartedAt
		ran = now.Sub(t.StartedAt.Time)
	}
	c.state = corev1.ContainerState{Terminated: t}
	c.child, c.ready, c.message, c.listen = nil, false, "", nil
	if c.log != nil {
		c.log.close()
		c.log = nil
	}
	for _, done := range c.killed {
		done <- nil
	}
	c.killed = nil
	c.done = !c.replacing && !c.again(pod, e.code)
	if c.done {
		return
	}
	var delay time.Duration
	if !c.replacing {
		delay = c.backoff.next(ran)
	}
	c.startAt = now.Add(delay)
	if delay > 0 {
		c.wait("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)",
			delay, c.spec.Name, pod.Name, pod.Namespace, pod.UID))
	}
}

// reported applies a component's report.
func (c *cont) reported(r container.Report) {
	if r.Listen != nil {
		c.listen = r.Listen
	}
	if r.Message != "" {
		c.message = r.Message
	}
	if r.Ready != nil {
		if c.ready = *r.Ready; c.ready {
			c.message = ""
		}
	}
	if c.replacing {
		return // a report of the run that is ending, not of the next one
	}
	for _, done := range c.restarted {
		done <- nil
	}
	c.restarted = nil
}

// A backoff delays restarts as the kubelet does: not at all at first, then
// longer each time, until a run was long.
type backoff struct{ delay time.Duration }

const (
	firstBackoff = time.Second
	longBackoff  = time.Minute
)

// next returns the delay after a run of the given length.
func (b *backoff) next(ran time.Duration) time.Duration {
	if ran > 2*longBackoff {
		b.delay = 0
	}
	delay := b.delay
	b.delay = min(max(2*b.delay, firstBackoff), longBackoff)
	return delay
}

func newID() string {
	var id [32]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return hex.EncodeToString(id[:])
}

// imageID names the part that stands where the image would run.
func (c *cont) imageID() string {
	if c.component == "" {
		return runtimeName + "://simulated/" + c.spec.Image
	}
	return runtimeName + "://component/" + c.component
}

// start begins a run of the container: a process, or nothing if it is
// simulated.
func (w *worker) start(ctx context.Context, c *cont) error {
	now := time.Now()
	if c.component == "" {
		c.started(now)
		return w.simulate(c, now)
	}
	spec, err := w.specFor(ctx, c)
	if err != nil {
		return err
	}
	run := c.run + 1
	program, err := w.process(c, run, spec)
	if err != nil {
		return err
	}
	message := w.messageFile(c)
	if err := newMessageFile(message); err != nil {
		return err
	}
	c.mounts = spec.Mounts
	c.started(now)
	log, err := w.a.logs.create(w.logPath(c))
	if err != nil {
		return err
	}
	r, out, err := os.Pipe()
	if err != nil {
		log.close()
		return fmt.Errorf("container log: %w", err)
	}
	program.Name, program.Output = w.namespace+"/"+w.name+"/"+c.spec.Name, out
	child, err := w.a.children.Start(program)
	out.Close() // the child has its own
	if err != nil {
		r.Close() // nothing was read
		log.close()
		return err
	}
	c.child = child
	if program.Foreign { // it reports nothing, and has no probe that could fail
		c.reported(container.Report{Ready: ptr.To(true)})
	}
	pod := w.pod
	w.a.running.Go(func() {
		log.copyFrom(r)
		r.Close() // read to its end
		<-child.Done()
		e := exit{code: exitCode(child.Err())}
		e.message = w.a.logs.terminationMessage(pod, c.spec, message, log.path, e.code)
		w.send(event{c: c, run: run, exit: &e})
	})
	return nil
}

// process returns the process of a container. run counts the container's starts.
func (w *worker) process(c *cont, run int, spec container.Spec) (process.Spec, error) {
	if native, ok := w.a.conf.Natives[c.component]; ok {
		return w.nativeProcess(c, native, spec)
	}
	return process.Spec{
		Path:  w.a.conf.Executable,
		Args:  []string{"component", c.component},
		Env:   processEnvironment(spec.Dir),
		Dir:   spec.Dir,
		Input: spec,
		Reports: func(line []byte) {
			var report container.Report
			if err := json.Unmarshal(line, &report); err != nil {
				w.a.conf.Logf("%s/%s/%s: report: %v", w.namespace, w.name, c.spec.Name, err)
				return
			}
			w.send(event{c: c, run: run, report: &report})
		},
	}, nil
}

// simulate runs a container that nothing stands for: it is ready at once, or
// complete where a container is expected to end.
func (w *worker) simulate(c *cont, now time.Time) error {
	log, err := w.a.logs.create(w.logPath(c))
	if err != nil {
		return err
	}
	log.line(fmt.Appendf(nil, "ztlab: no component stands for image %s: this container is simulated and does nothing", c.spec.Image))
	c.ready = true
	if c.init || !c.sidecar && w.pod.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		log.close()
		c.ended(w.pod, exit{}, now)
		c.done = true
		return nil
	}
	c.log = log
	c.reported(container.Report{})
	return nil
}

// scratch is the private directory of one of the pod's containers.
func (w *worker) scratch(container string) string {
	return filepath.Join(w.dir, "containers", container)
}

// specFor returns the component's container.
func (w *worker) specFor(ctx context.Context, c *cont) (container.Spec, error) {
	services, err := w.a.services.forPod(w.namespace, w.pod.Spec.EnableServiceLinks == nil || *w.pod.Spec.EnableServiceLinks)
	if err != nil {
		return container.Spec{}, err
	}
	env, err := environment(ctx, w.pod, c.spec, services, w.volumes.from)
	if err != nil {
		return container.Spec{}, err
	}
	mounts, err := w.volumes.mounts(c.spec, env)
	if err != nil {
		return container.Spec{}, err
	}
	dir := w.scratch(c.spec.Name)
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return container.Spec{}, err
	}
	token, ca := identity(mounts, w.a.conf.CAFile)
	return container.Spec{
		Namespace: w.namespace, Pod: w.name, UID: string(w.uid), PodIP: w.ip,
		Name: c.spec.Name, Image: c.spec.Image, ServiceAccount: w.pod.Spec.ServiceAccountName, Labels: w.pod.Labels,
		Command: expandAll(c.spec.Command, env), Args: expandAll(c.spec.Args, env), Env: env,
		Mounts: mounts, Dir: dir, Sockets: w.a.conf.Sockets,
		APIServer: w.a.conf.APIServer, TokenFile: token, CAFile: ca, Proxy: proxyFor(w.namespace, w.a.conf.ProxyURL),
	}, nil
}

// proxyFor returns the proxy's URL for a pod of a namespace, which is the user name:
// short names mean the pod's own namespace.
func proxyFor(namespace, proxy string) string {
	u, err := url.Parse(proxy)
	if err != nil || u.User == nil {
		return proxy
	}
	password, _ := u.User.Password()
	u.User = url.UserPassword(namespace, password)
	return u.String()
}

// inherited are the variables of the lab's own environment that a component's
// process keeps. Everything else, proxies and credentials above all, stays
// outside; the container's variables are in its specification, as other users
// can read a process's environment on some systems.
var inherited = []string{"PATH", "LANG", "TZ", "GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOTRACEBACK", "GOCOVERDIR"}

// processEnvironment is the environment of a component's process.
func processEnvironment(dir string) []string {
	env := []string{"HOME=" + dir, "TMPDIR=" + filepath.Join(dir, "tmp")}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// exitCode turns the end of a process into a container's exit code.
func exitCode(err error) int32 {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		return 255
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int32(status.Signal())
	}
	return int32(exit.ExitCode())
}

// logPath is the log of the container's present run.
func (w *worker) logPath(c *cont) string {
	return w.a.logs.path(w.namespace, w.name, string(w.uid), c.spec.Name, c.restarts)
}
