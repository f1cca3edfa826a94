// Package node is the lab's virtual node: a node agent that is to built-in
// components as a kubelet is to containers.
//
// It registers one Node, watches the pods that the scheduler binds to it, gives
// each an address, fills its volumes, expands its environment, and starts one
// child process for every container whose image it knows (see [Image], [Native]
// and package container). A container with any other image is inert: it is reported
// Running and Ready, or, where it would run to completion (init containers, pods
// of Jobs), as completed; [Agent.Containers] lists it as simulated.
//
// Differences from a kubelet, on purpose:
//
//   - There are no namespaces, cgroups or images. Pod addresses are labels that
//     only [Agent.Lookup] can resolve; nothing listens on them.
//   - Probes and postStart hooks are not run. The component reports
//     its own readiness, so that a pod is Ready within milliseconds of the
//     fact; only a pod that replaces a deleted one starts a second later.
//     Image pulls, resource limits and security contexts have no effect.
//   - preStop hooks are run, but a container has no programs: of a command, also
//     of a shell's list, only sleep is done.
//   - The crash back-off starts at one second and ends at one minute, as with
//     the kubelet's feature gate ReduceDefaultCrashLoopBackOffDecay.
//
// Everything else follows the kubelet, and uses its own code where that can be
// imported: phases, conditions, restart counts, atomically updated volumes,
// tokens that are bound to the pod and renewed at 80 % of their life, deletion
// with preStop hooks and grace periods, and the API that kube-apiserver calls for
// logs, port-forward, and exec of the programs that a component has.
package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
	"github.com/ztplan/ztplan/cmd/ztlab/process"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
)

// A Config configures an agent. All fields but Logf are required.
type Config struct {
	// Config reaches the API server with an administrator's rights; the agent
	// never gives them to a component.
	Config *rest.Config
	// NodeName is the Node's name; NodeAddress its InternalIP. When the address
	// is a loopback address the kubelet API listens on it.
	NodeName, NodeAddress string
	// StateDir is the agent's own directory: volumes, logs, scratch space.
	StateDir string
	// Sockets is given to components, see [container.Spec]. It may be empty.
	Sockets string
	// Executable is started as "Executable component NAME" for a container.
	Executable string
	// ProxyURL, APIServer and CAFile are given to components, see
	// [container.Spec]. CAFile also holds the authority that signs the client
	// certificate with which kube-apiserver calls the kubelet API.
	ProxyURL, APIServer, CAFile string
	// Images are the images that have a built-in component or a program of their own.
	Images []Image
	// Natives are the components that are programs of their own, by name.
	Natives map[string]Native
	// Programs are those that exec requests can run: by component, then by name.
	Programs map[string]map[string]container.Program
	// Logf receives the agent's own messages; nil discards them.
	Logf func(format string, args ...any)
}

// An Agent is one virtual node.
type Agent struct {
	conf     Config
	client   kubernetes.Interface
	images   map[string]string // normalised repository to component
	children *process.Group
	listener net.Listener // of the kubelet API
	ips      ipPool
	logs     logs
	events   record.EventRecorder
	services serviceLister

	mu      sync.Mutex
	workers map[types.UID]*worker
	pods    map[types.UID]snapshot
	deleted map[types.UID]bool // pods whose last act is done, until they vanish
	changed chan struct{}      // closed and replaced when pods changes
	closed  bool               // no further workers
	running sync.WaitGroup
}

// New prepares an agent: it opens the port of the kubelet API and connects to
// nothing. The caller must call [Agent.Run].
func New(conf Config) (*Agent, error) {
	switch {
	case conf.Config == nil, conf.NodeName == "", conf.NodeAddress == "", conf.StateDir == "", conf.Executable == "":
		return nil, errors.New("node: Config, NodeName, NodeAddress, StateDir and Executable are required")
	case conf.Logf == nil:
		conf.Logf = func(string, ...any) {}
	}
	images, err := indexImages(conf.Images)
	if err != nil {
		return nil, err
	}
	// A node agent talks to an API server on the same machine and is on the
	// critical path of every pod: no client-side rate limit, and the compact
	// encoding.
	rc := rest.CopyConfig(conf.Config)
	rc.QPS, rc.Burst = -1, -1
	rc.ContentType = "application/vnd.kubernetes.protobuf"
	rc.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	rc.UserAgent = "ztlab-node"
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	for _, dir := range []string{"pods", "log"} {
		if err := os.MkdirAll(filepath.Join(conf.StateDir, dir), 0o700); err != nil {
			return nil, fmt.Errorf("node: %w", err)
		}
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(loopback(conf.NodeAddress), "0"))
	if err != nil {
		return nil, fmt.Errorf("kubelet API: %w", err)
	}
	return &Agent{
		conf:     conf,
		client:   client,
		images:   images,
		children: process.NewGroup(),
		listener: ln,
		logs:     logs{dir: filepath.Join(conf.StateDir, "log")},
		workers:  map[types.UID]*worker{},
		pods:     map[types.UID]snapshot{},
		deleted:  map[types.UID]bool{},
		changed:  make(chan struct{}),
	}, nil
}

// loopback returns addr if it can be listened on by an ordinary user without
// being reachable from elsewhere, else 127.0.0.1.
func loopback(addr string) string {
	if ip, err := netip.ParseAddr(addr); err == nil && ip.IsLoopback() {
		return addr
	}
	return "127.0.0.1"
}

// KubeletAddress is the loopback address, host:port, of the kubelet API.
func (a *Agent) KubeletAddress() string { return a.listener.Addr().String() }

// kubeletPort is the port that the Node announces.
func (a *Agent) kubeletPort() int32 {
	_, port, _ := net.SplitHostPort(a.KubeletAddress())
	n, _ := strconv.Atoi(port)
	return int32(n)
}

// Run registers the node and runs its pods until ctx ends; then it stops every
// container, leaves the API objects as they are, and returns nil. An error means
// that the node could not be registered or that its API broke.
func (a *Agent) Run(ctx context.Context) error {
	defer a.children.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopEvents := a.startEvents()
	defer stopEvents()

	// Pods are watched only once the node exists; the certificate of the
	// kubelet API is asked for meanwhile, as it is not needed before.
	a.running.Go(func() {
		if err := a.serveKubelet(ctx); err != nil {
			cancel(err)
		}
	})
	if err := a.register(ctx); err == nil {
		a.running.Go(func() { a.heartbeat(ctx) })
		if err := a.watch(ctx); err != nil {
			cancel(err)
		}
	} else {
		cancel(err)
	}
	<-ctx.Done()
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.running.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// worker returns the worker of a pod, which is nil when there is none.
func (a *Agent) worker(uid types.UID) *worker {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.workers[uid]
}

// ensure gives the pod a worker if it needs one, and notifies an existing worker
// about the pod's newest form.
func (a *Agent) ensure(ctx context.Context, pod *corev1.Pod) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.workers[pod.UID]
	if w == nil {
		if a.closed || a.deleted[pod.UID] {
			return
		}
		w = newWorker(a, pod)
		if a.replaces(pod) {
			w.notBefore = time.Now().Add(leastStart)
		}
		a.workers[pod.UID] = w
		a.running.Go(func() {
			w.run(ctx)
			a.mu.Lock()
			defer a.mu.Unlock()
			delete(a.workers, pod.UID)
			delete(a.pods, pod.UID)
			a.announce()
		})
		return
	}
	w.update(pod)
}

// leastStart is the time until the containers of a replacement start. A kubelet needs
// about as long for a sandbox, a network and the first probe of readiness. Without it
// a deleted pod of a Deployment would be replaced before a client has seen its absence.
const leastStart = time.Second

// replaces reports whether the pod takes the place of one that its controller made and
// that is being deleted; a.mu is held.
func (a *Agent) replaces(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	if owner == nil {
		return false
	}
	for _, w := range a.workers {
		if w.controller == owner.UID && w.leaves() {
			return true
		}
	}
	return false
}

// finalize notes that nothing is left to do for a pod that is being deleted;
// a finalizer may keep its object for a while.
func (a *Agent) finalize(uid types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.deleted[uid] = true
}

// publish makes a worker's state visible to the agent's methods.
func (a *Agent) publish(uid types.UID, s snapshot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pods[uid] = s
	a.announce()
}

// announce wakes those that wait for a change of a.pods; a.mu is held.
func (a *Agent) announce() {
	close(a.changed)
	a.changed = make(chan struct{})
}
