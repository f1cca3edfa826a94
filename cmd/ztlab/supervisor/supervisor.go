// Package supervisor runs one lab: the control plane, the node with its
// containers, the proxies that are their network, NodePorts, storage and
// chart repositories. It is the parent of every process of the lab and answers
// for it on a Unix socket.
package supervisor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ztplan/ztplan/cmd/ztlab/controlplane"
	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
	"github.com/ztplan/ztplan/cmd/ztlab/netproxy"
	"github.com/ztplan/ztplan/cmd/ztlab/nodeport"
	"github.com/ztplan/ztplan/cmd/ztlab/process"
)

// NodeName is the name of the lab's one node; kind's for a cluster "ztlab".
const NodeName = "ztlab-control-plane"

// startTimeout bounds a start on a slow, busy machine.
const startTimeout = 2 * time.Minute

// nodeGrace is how long the containers may take to end.
const nodeGrace = 8 * time.Second

// Options configure a lab.
type Options struct {
	Dir labstate.Dir
	// Executable is this program: parts are started from it.
	Executable string
	// ChartsDir holds packaged charts to serve instead of the lab's own.
	ChartsDir string
	// Audit records API requests to a file.
	Audit bool
	// Issuer and AuthenticationConfig are those of [controlplane.Config].
	Issuer, AuthenticationConfig string
	// Fresh forgets the lab that was in the directory; Ephemeral forgets this
	// one when it ends.
	Fresh, Ephemeral bool
	// OpenLog returns where the supervisor's log goes. It is called once, when
	// the state directory is prepared; Run closes the result.
	OpenLog func(labstate.Dir) (io.WriteCloser, error)
	// Ready is called once, when every part answers; Stopping when the lab
	// begins to end. Both may be nil.
	Ready    func(labstate.Status)
	Stopping func()
	Composition
}

// A Lab is a running lab.
type Lab struct {
	options Options
	log     *log.Logger
	dir     labstate.Dir
	address string
	group   *process.Group
	plane   *controlplane.Plane
	client  *rest.Config
	api     kubernetes.Interface
	proxy   net.Listener
	// password opens the proxy's port.
	password string
	stop     context.CancelFunc

	mu    sync.Mutex
	node  Node
	ports *nodeport.Forwarder
	chart Charts
	ready bool
}

// Run runs a lab until ctx ends or a request on its socket stops it.
// When it returns, no process of the lab is left but this one, which keeps the
// lock of the directory for the rest of its life: a process runs one lab.
func Run(ctx context.Context, o Options) (err error) {
	// Held until the process ends: who gets the lock next knows that this
	// process is gone.
	if _, err := o.Dir.Lock(); err != nil {
		return err
	}
	if o.Fresh {
		if err := o.Dir.Purge(); err != nil {
			return fmt.Errorf("forget the last lab: %w", err)
		}
	}
	if err := o.Dir.Prepare(); err != nil {
		return err
	}
	if o.Ephemeral {
		defer func() { err = errors.Join(err, o.Dir.Purge()) }()
	}
	out, err := o.OpenLog(o.Dir)
	if err != nil {
		return err
	}
	defer out.Close()
	logger := log.New(out, "ztlab: ", log.LstdFlags|log.Lmicroseconds)
	defer func() {
		if err != nil {
			logger.Print(err)
		}
	}()
	address, release, err := o.Dir.ClaimAddress()
	if err != nil {
		return err
	}
	defer release()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if o.Stopping != nil {
		context.AfterFunc(ctx, o.Stopping)
	}
	l := &Lab{options: o, log: logger, dir: o.Dir, address: address, group: process.NewGroup(), stop: stop, password: rand.Text()}
	defer l.group.Close()
	return l.run(ctx)
}

func (l *Lab) run(ctx context.Context) error {
	if err := l.newPlane(); err != nil {
		return err
	}
	containers, apiServer, err := netproxy.Listen(l.address, l.dir.Socket("egress.sock"))
	if err != nil {
		return err
	}
	defer containers.Close()
	defer apiServer.Close()
	l.proxy = containers
	control, err := l.serveControl()
	if err != nil {
		return err
	}
	defer control.Close()

	// The plane outlives the node: containers end with a request to the API server.
	planeCtx, stopPlane := context.WithCancel(context.WithoutCancel(ctx))
	var plane sync.WaitGroup
	plane.Go(func() { l.plane.Run(planeCtx) })
	defer func() { stopPlane(); plane.Wait() }()

	if err := l.startCharts(ctx); err != nil {
		return err
	}
	defer l.closeCharts()
	return l.runNode(ctx, containers, apiServer)
}

func (l *Lab) newPlane() error {
	var audit string
	if l.options.Audit {
		audit = l.dir.Audit()
	}
	var err error
	l.plane, err = controlplane.New(controlplane.Config{
		Group: l.group, Executable: l.options.Executable, Address: l.address,
		PKIDir: l.dir.PKI(), EtcdDir: l.dir.Etcd(), WorkDir: l.dir.ControlPlane(),
		Log: l.dir.Log, Kubeconfig: l.dir.Kubeconfig(), EgressSocket: l.dir.Socket("egress.sock"),
		AuditLog: audit, Issuer: l.options.Issuer, AuthenticationConfig: l.options.AuthenticationConfig, Logf: l.log.Printf,
	})
	if err != nil {
		return err
	}
	file, err := l.plane.ClientConfig("lab")
	if err != nil {
		return err
	}
	if l.client, err = clientcmd.BuildConfigFromFlags("", file); err != nil {
		return fmt.Errorf("lab client: %w", err)
	}
	l.client.QPS, l.client.Burst = 300, 600
	l.client.UserAgent = "ztlab"
	if l.api, err = kubernetes.NewForConfig(l.client); err != nil {
		return fmt.Errorf("lab client: %w", err)
	}
	return nil
}

func (l *Lab) startCharts(ctx context.Context) error {
	if l.options.NewCharts == nil {
		return nil
	}
	charts, err := l.options.NewCharts(ctx, l.options.ChartsDir, l.log.Printf)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chart = charts
	return nil
}

func (l *Lab) closeCharts() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.chart != nil {
		_ = l.chart.Close()
	}
}

func (l *Lab) set(node Node, ports *nodeport.Forwarder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.node, l.ports = node, ports
}

// announce reports once that the lab is ready.
func (l *Lab) announce(ctx context.Context) {
	l.mu.Lock()
	l.ready = true
	l.mu.Unlock()
	l.log.Printf("lab ready on %s; kubeconfig %s", l.address, l.dir.Kubeconfig())
	if l.options.Ready != nil {
		l.options.Ready(l.Status(ctx))
	}
}

// self is the supervisor's process id.
func self() int { return os.Getpid() }
