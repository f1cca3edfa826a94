package controlplane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
	"github.com/ztplan/ztplan/cmd/ztlab/process"
)

// Config configures a control plane.
type Config struct {
	// Group owns the processes; Executable is started as "component NAME".
	Group      *process.Group
	Executable string
	// Address is the loopback address that every part listens on.
	Address string
	// Directories and files of the lab.
	PKIDir, EtcdDir, WorkDir string
	Log                      func(name string) string
	Kubeconfig               string
	// EgressSocket is where the API server finds its way to pods and Services.
	EgressSocket string
	// AuditLog is where the API server records requests; empty for not at all.
	AuditLog string
	// Issuer is the issuer of ServiceAccount tokens.
	Issuer string
	// AuthenticationConfig is an AuthenticationConfiguration of
	// apiserver.config.k8s.io/v1 for the API server, which gets a copy of the file;
	// empty for none.
	AuthenticationConfig string
	// Logf receives lines for the supervisor's log.
	Logf func(format string, args ...any)
}

// A Plane is a control plane. Create it with [New], run it with [Plane.Run].
type Plane struct {
	config    Config
	id        identity
	addresses map[string]string
	probes    probes
	units     map[string]*unit
}

// parts is the order in which the parts are listed.
var parts = [...]string{APIServer, Etcd, ControllerManager, Scheduler}

// New makes keys, ports, configuration and kubeconfigs; nothing runs yet.
func New(c Config) (*Plane, error) {
	id, err := prepareIdentity(c.PKIDir, c.Address)
	if err != nil {
		return nil, err
	}
	p := &Plane{config: c, id: id}
	if p.addresses, err = p.choosePorts(); err != nil {
		return nil, err
	}
	if err := p.writeConfig(); err != nil {
		return nil, err
	}
	if p.probes, err = newProbes(id); err != nil {
		return nil, err
	}
	flags := map[string][]string{
		APIServer: p.apiServerFlags(),
		Etcd: etcdSettings{
			dataDir: c.EtcdDir, listen: p.addresses[Etcd],
			cert: id.file("etcd.crt"), key: id.file("etcd.key"), clientsCA: id.file("etcd-ca.crt"),
		}.args(),
		ControllerManager: p.controllerManagerFlags(),
		Scheduler:         p.schedulerFlags(),
	}
	p.units = make(map[string]*unit, len(parts))
	for _, name := range parts {
		p.units[name] = &unit{
			name: name, address: p.url(name), orders: make(chan order), logf: c.Logf,
			start: func() (*process.Child, error) { return p.start(name, flags[name]) },
			probe: func(ctx context.Context) error { return p.probes.ask(ctx, name, p.addresses[name]) },
		}
	}
	return p, nil
}

// Server is the API server's URL on loopback.
func (p *Plane) Server() string { return p.url(APIServer) }

// Address is the API server's host:port on loopback.
func (p *Plane) Address() string { return p.addresses[APIServer] }

// CAFile is the lab's certificate authority, as PEM.
func (p *Plane) CAFile() string { return p.id.file("ca.crt") }

// ClientConfig is the path of a kubeconfig for the lab's own parts named user,
// a member of system:masters.
func (p *Plane) ClientConfig(user string) (string, error) {
	file := p.config.path(user + ".kubeconfig")
	return file, p.id.writeKubeconfig(file, p.Server(), leaf{name: "system:ztlab:" + user, organizations: []string{"system:masters"}})
}

func (p *Plane) url(name string) string { return "https://" + p.addresses[name] }

// The ports of the parts are below NodePorts, and below those that the kernel gives to a
// listener that asks for any: a part of the lab that does so after the choice must not get
// a port that another has not opened yet.
const (
	firstPort = 20000
	lastPort  = 29999
)

// choosePorts finds free ports. Nothing else uses the lab's address on Linux,
// so they stay free; elsewhere another program may be faster, and the part's
// log has the error.
func (p *Plane) choosePorts() (map[string]string, error) {
	last, err := os.ReadFile(p.config.path("apiserver.port"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("lab ports: %w", err)
	}
	addresses := make(map[string]string, len(parts))
	for _, name := range parts {
		want := ""
		if name == APIServer {
			want = strings.TrimSpace(string(last))
		}
		l, err := p.listen(want)
		if err != nil {
			return nil, fmt.Errorf("lab ports: %w", err)
		}
		defer l.Close() // after the last one, so that all differ
		addresses[name] = l.Addr().String()
	}
	_, port, _ := net.SplitHostPort(addresses[APIServer])
	return addresses, WriteFile(p.config.path("apiserver.port"), []byte(port+"\n"), 0o600)
}

// listen opens the wanted port, or another that is free.
func (p *Plane) listen(want string) (l net.Listener, err error) {
	for try := range 100 {
		port := strconv.Itoa(firstPort + rand.IntN(lastPort-firstPort+1))
		if try == 0 && want != "" {
			port = want
		}
		if l, err = net.Listen("tcp", net.JoinHostPort(p.config.Address, port)); err == nil {
			return l, nil
		}
	}
	return nil, err
}

func (p *Plane) writeConfig() error {
	if err := WriteFile(p.config.path("egress.yaml"), egressConfig(p.config.EgressSocket), 0o600); err != nil {
		return err
	}
	if err := WriteFile(p.config.path("audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	if file := p.config.AuthenticationConfig; file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("authentication configuration: %w", err)
		}
		if err := WriteFile(p.config.path(authenticationFile), data, 0o600); err != nil {
			return err
		}
	}
	for file, user := range map[string]leaf{
		p.config.Kubeconfig: {name: "kubernetes-admin", organizations: []string{"system:masters"}},
		p.config.path(ControllerManager + ".kubeconfig"): {name: "system:kube-controller-manager"},
		p.config.path(Scheduler + ".kubeconfig"):         {name: "system:kube-scheduler"},
	} {
		if err := p.id.writeKubeconfig(file, p.Server(), user); err != nil {
			return err
		}
	}
	return nil
}

func (p *Plane) start(name string, flags []string) (*process.Child, error) {
	log, err := openLog(p.config.Log(name))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	return p.config.Group.Start(process.Spec{
		Name:   name,
		Path:   p.config.Executable,
		Args:   append([]string{"component", name}, flags...),
		Env:    partEnvironment(),
		Dir:    p.config.WorkDir,
		Output: log,
	})
}

// partEnvironment is the part of the user's environment that a part has: enough for
// the Go runtime and no proxy settings, which belong to another network.
func partEnvironment() []string {
	var env []string
	for _, name := range []string{"HOME", "PATH", "TMPDIR", "GOCOVERDIR", "GODEBUG", "GOGC", "GOMEMLIMIT", "TZ"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Run starts every part and keeps it running until ctx ends; then it stops the
// parts, etcd last, and returns.
func (p *Plane) Run(ctx context.Context) {
	store, stopStore := context.WithCancel(context.WithoutCancel(ctx))
	server, stopServer := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStore()
	defer stopServer()

	var stores, servers, managers sync.WaitGroup
	stores.Go(func() { p.units[Etcd].run(store) })
	servers.Go(func() { p.units[APIServer].run(server) })
	for _, name := range []string{ControllerManager, Scheduler} {
		managers.Go(func() {
			// They give up, or look only once a second, when the API server
			// does not answer yet.
			if p.wait(ctx, APIServer) == nil {
				p.units[name].run(ctx)
			}
		})
	}
	<-ctx.Done()
	managers.Wait()
	stopServer()
	servers.Wait()
	stopStore()
	stores.Wait()
}

// askEvery is the time between two questions to a part that starts. The parts
// do not report when they are ready.
const askEvery = 20 * time.Millisecond

// wait returns when a part answers, or with ctx's error.
func (p *Plane) wait(ctx context.Context, name string) error {
	return wait.PollUntilContextCancel(ctx, askEvery, true, func(ctx context.Context) (bool, error) {
		return p.units[name].probe(ctx) == nil, nil
	})
}

// tooOften is how often a part may end by itself before a start is given up.
const tooOften = 4

// errTooOften gives a start up.
var errTooOften = errors.New("it keeps ending")

// WaitReady returns when every part answers. It fails when a part keeps
// ending, with the end of its log.
func (p *Plane) WaitReady(ctx context.Context) error {
	for _, name := range parts {
		if err := p.WaitPart(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// WaitPart is WaitReady for one part.
func (p *Plane) WaitPart(ctx context.Context, name string) error {
	u := p.units[name]
	var problem string
	var last error
	err := wait.PollUntilContextCancel(ctx, askEvery, true, func(ctx context.Context) (bool, error) {
		problem, last = "does not answer", u.probe(ctx)
		if n, end := u.failures(); last != nil && n >= tooOften {
			problem, last = "keeps ending", end
			return false, errTooOften
		}
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s %s (%w); its log %s ends:\n%s", name, problem, last, p.config.Log(name), tail(p.config.Log(name)))
	}
	return nil
}

// Status asks every part whether it answers.
func (p *Plane) Status(ctx context.Context) []labstate.Component {
	versions := Versions()
	list := make([]labstate.Component, len(parts))
	var wg sync.WaitGroup
	for i, name := range parts {
		version := versions["kubernetes"]
		if name == Etcd {
			version = versions["etcd"]
		}
		wg.Go(func() { list[i] = p.units[name].status(ctx, version) })
	}
	wg.Wait()
	return list
}

// ErrUnknownPart means that a name is none of this control plane's.
var ErrUnknownPart = errors.New("no such part")

// Restart stops the named part in order and starts it again.
func (p *Plane) Restart(ctx context.Context, name string) error {
	return p.order(ctx, name, false, 0)
}

// Kill ends the named part with SIGKILL; it is started again after down.
func (p *Plane) Kill(ctx context.Context, name string, down time.Duration) error {
	return p.order(ctx, name, true, down)
}

func (p *Plane) order(ctx context.Context, name string, kill bool, down time.Duration) error {
	u, ok := p.units[canonical(name)]
	if !ok {
		return fmt.Errorf("%s: %w; the control plane has %s", name, ErrUnknownPart,
			strings.Join(slices.Sorted(maps.Keys(p.units)), ", "))
	}
	return u.order(ctx, kill, max(down, shortestDelay))
}

// canonical lets a user leave out "kube-" and hyphens.
func canonical(name string) string {
	switch strings.ReplaceAll(strings.TrimPrefix(name, "kube-"), "-", "") {
	case "apiserver":
		return APIServer
	case "controllermanager":
		return ControllerManager
	case "scheduler":
		return Scheduler
	}
	return name
}
