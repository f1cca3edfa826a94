// Package vault runs the real HashiCorp Vault server, in this process, where
// the container "hashicorp/vault" would run.
//
// Nothing of Vault is imitated: the core, its HTTP API, the pki and transit secrets
// engines and the kubernetes, jwt, approle and cert auth methods are the published
// modules. The package adds the parts of an image: it reads the configuration that the
// chart mounts, gives paths of the container their directories on the host, listens
// where only the lab's own user can connect, because the first client may initialise
// it, and reports to the node agent whether Vault is unsealed. Only the plugins of
// [plugins] exist; Vault's own error answers the mount of another one.
//
// The server starts sealed, always: a restart of the container needs an unseal,
// as it does on a cluster, unless another Vault unseals it (seal "transit"). With raft
// storage several pods make one Vault: they reach each other through the lab's proxy,
// by the names and ports that the chart configures.
package vault

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/audit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/internalshared/listenerutil"
	"github.com/hashicorp/vault/sdk/physical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
	"github.com/hashicorp/vault/version"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// shutdownGrace bounds how long requests in flight may take when the container
// stops; the chart's own preStop hook gives them five seconds.
const shutdownGrace = 2 * time.Second

// Version is the version of the Vault server that is linked in, and that
// sys/seal-status answers for any tag of the pod's image.
func Version() string { return version.GetVersion().VersionNumber() }

// Run serves Vault for the pod in spec until ctx ends, and then returns nil.
// Readiness is the result of the chart's probe ("vault status"): true when
// unsealed. An error means that the server could not start, or that its listener
// broke.
func Run(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	if err := useProxy(spec.Proxy); err != nil {
		return err
	}
	conf, err := readConfig(spec)
	if err != nil {
		return err
	}
	level := hclog.LevelFromString(conf.server.LogLevel)
	if level == hclog.NoLevel {
		level = hclog.Info
	}
	logger := hclog.New(&hclog.LoggerOptions{Level: level, Output: os.Stderr, JSONFormat: conf.server.LogFormat == "json"})

	if err := conf.environment(spec.Env); err != nil {
		return err
	}
	core, state, network, err := newCore(ctx, spec, conf, level, logger, report)
	if err != nil {
		return err
	}
	defer func() {
		if err := core.Shutdown(); err != nil {
			logger.Error("shutdown", "error", err)
		}
	}()
	if network != nil {
		if err := joinCluster(ctx, core, conf); err != nil {
			return fmt.Errorf("vault cluster: %w", err)
		}
	}

	listening, err := listen(spec, conf, core, logger)
	if err != nil {
		return err
	}
	defer listening.close()
	if network != nil {
		listening.ports[network.port] = network.addr
	}
	initialized, err := core.InitializedLocally(ctx)
	if err != nil {
		return fmt.Errorf("vault storage: %w", err)
	}
	state.start(initialized, listening.ports)
	logger.Info("vault server started, sealed", "version", Version(), "storage", conf.storageType, "listen", listening.ports)
	go unsealItself(ctx, core, logger)

	select {
	case <-ctx.Done():
		return nil
	case err := <-listening.failed:
		return err
	}
}

// newCore makes the server's core, sealed. network is nil unless the storage makes a
// cluster.
func newCore(ctx context.Context, spec container.Spec, conf *config, level hclog.Level, logger hclog.Logger, report func(container.Report)) (*vault.Core, *sealState, *clusterNetwork, error) {
	store, err := newStorage(conf, logger.Named("storage"))
	if err != nil {
		return nil, nil, nil, err
	}
	seal, err := newSeal(conf, logger.Named("seal"))
	if err != nil {
		return nil, nil, nil, err
	}
	state := &sealState{report: report}
	announced, err := register(spec, conf, state, logger)
	if err != nil {
		return nil, nil, nil, err
	}
	credential, logical := plugins(pod{tokenFile: spec.TokenFile, caFile: spec.CAFile})
	settings := &vault.CoreConfig{
		RawConfig:           conf.server,
		Physical:            store,
		StorageType:         conf.storageType,
		Logger:              logger,
		LogLevel:            level.String(),
		DisableMlock:        true, // needs a capability that an ordinary user lacks
		EnableUI:            conf.server.EnableUI,
		EnableRaw:           conf.server.EnableRawEndpoint,
		ClusterName:         conf.server.ClusterName,
		DefaultLeaseTTL:     conf.server.DefaultLeaseTTL,
		MaxLeaseTTL:         conf.server.MaxLeaseTTL,
		LogicalBackends:     logical,
		CredentialBackends:  credential,
		AuditBackends:       auditDevices(conf),
		BuiltinRegistry:     registry{credential: credential, logical: logical},
		ServiceRegistration: announced,
		Seal:                seal,
	}
	ha, cluster := store.(physical.HABackend)
	var network *clusterNetwork
	if cluster {
		if network, err = newClusterNetwork(spec, conf.clusterPort, logger.Named("cluster")); err != nil {
			return nil, nil, nil, err
		}
		settings.HAPhysical, settings.ClusterNetworkLayer = ha, network
		settings.RedirectAddr = cmp.Or(spec.Env["VAULT_API_ADDR"], conf.server.Storage.RedirectAddr)
		settings.ClusterAddr = cmp.Or(spec.Env["VAULT_CLUSTER_ADDR"], conf.server.Storage.ClusterAddr)
	}
	core, err := vault.NewCore(settings)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("vault core: %w", err)
	}
	var wait sync.WaitGroup
	if err := announced.Run(ctx.Done(), &wait, settings.RedirectAddr); err != nil {
		return nil, nil, nil, fmt.Errorf("service_registration: %w", err)
	}
	return core, state, network, nil
}

// useProxy makes the process reach the cluster's names through the lab's proxy.
// The kubernetes auth method takes its proxy from the environment and from
// nowhere else; a component is a process of its own, so that this is its own
// environment.
func useProxy(proxy string) error {
	if proxy == "" {
		return nil
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		if err := os.Setenv(name, proxy); err != nil {
			return fmt.Errorf("proxy for vault: %w", err)
		}
	}
	return nil
}

// storageRaft is the storage of a cluster, within its servers.
const storageRaft = "raft"

// newStorage opens the storage of the configuration, of the kinds that need no server
// of their own.
func newStorage(conf *config, logger hclog.Logger) (physical.Backend, error) {
	switch conf.storageType {
	case "file":
		return file.NewFileBackend(map[string]string{"path": conf.storagePath}, logger)
	case storageRaft:
		return conf.newRaft(logger)
	case "inmem":
		return inmem.NewInmem(nil, logger)
	default:
		return nil, fmt.Errorf(`vault storage %q: the lab has "raft", "file" and "inmem"; set server.ha.raft.enabled=true in the chart's values, or server.standalone.enabled=true`, conf.storageType)
	}
}

// auditDevices returns the audit devices that can be enabled. A file_path is a
// path of the container; it is given its place on the host.
func auditDevices(conf *config) map[string]audit.Factory {
	return map[string]audit.Factory{
		"file": func(c *audit.BackendConfig, headers audit.HeaderFormatter) (audit.Backend, error) {
			if c != nil {
				mapped := *c
				mapped.Config = conf.hostAuditPath(c.Config)
				c = &mapped
			}
			return audit.NewFileBackend(c, headers)
		},
		"socket": audit.NewSocketBackend,
	}
}

// A listeners is the set of open listeners of one server.
type listeners struct {
	ports  map[int]string // container port to address
	failed chan error     // the first listener that broke
	close  func()
}

// listen serves every tcp listener of the configuration on an address of its own.
func listen(spec container.Spec, conf *config, core *vault.Core, logger hclog.Logger) (*listeners, error) {
	l := &listeners{ports: map[int]string{}, failed: make(chan error, 1)}
	var servers []*http.Server
	l.close = func() {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
		defer cancel()
		for _, s := range servers {
			if s.Shutdown(ctx) != nil {
				s.Close() // the process ends next
			}
		}
	}
	for _, lc := range conf.listeners {
		ln, address, err := open(spec, lc.port)
		if err != nil {
			l.close()
			return nil, fmt.Errorf("vault listener %s: %w", lc.Address, err)
		}
		if ln, err = secure(ln, conf, lc); err != nil {
			l.close()
			return nil, err
		}
		// The same limits as the vault command sets.
		s := &http.Server{
			Handler:           vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: lc.Listener, DisablePrintableCheck: conf.server.DisablePrintableCheck}),
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       30 * time.Second,
			IdleTimeout:       5 * time.Minute,
			ErrorLog:          logger.StandardLogger(nil),
		}
		servers = append(servers, s)
		l.ports[lc.port] = address
		go func() {
			if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				select {
				case l.failed <- fmt.Errorf("vault listener %s: %w", address, err):
				default:
				}
			}
		}()
	}
	return l, nil
}

// open listens for a container port: on a Unix socket, or without a directory for
// it on a loopback port that the system chooses.
func open(spec container.Spec, port int) (net.Listener, string, error) {
	if spec.Sockets == "" {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, "", err
		}
		return ln, ln.Addr().String(), nil
	}
	// A short name, see labstate.Dir.Sockets.
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s:%d", spec.UID, spec.Name, port))
	path := filepath.Join(spec.Sockets, hex.EncodeToString(sum[:5]))
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err // of a process that was killed
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, "", err
	}
	return local{ln}, container.Unix + path, nil
}

// A local is a Unix socket whose clients have an IP address for Vault, whose token
// bindings and audit devices know no other.
type local struct{ net.Listener }

func (l local) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return localConn{conn.(*net.UnixConn)}, nil
}

type localConn struct{ *net.UnixConn }

func (localConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// secure wraps ln in TLS when the listener's configuration asks for it, as Vault's own
// command does.
func secure(ln net.Listener, conf *config, lc listener) (net.Listener, error) {
	if lc.TLSDisable {
		return ln, nil
	}
	mapped := *lc.Listener
	for _, file := range []*string{&mapped.TLSCertFile, &mapped.TLSKeyFile, &mapped.TLSClientCAFile} {
		if *file != "" {
			*file = conf.hostPath(*file)
		}
	}
	settings, _, err := listenerutil.TLSConfig(&mapped, make(map[string]string), nil)
	if err != nil {
		ln.Close() // the error that matters is that of the settings
		return nil, fmt.Errorf("vault listener %s: %w", lc.Address, err)
	}
	return tls.NewListener(ln, settings), nil
}

// A listener is a tcp listener of the configuration with its container port.
type listener struct {
	*configutil.Listener
	port int
}
