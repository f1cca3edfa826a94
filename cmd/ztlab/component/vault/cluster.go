package vault

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/vault"
	"github.com/hashicorp/vault/vault/cluster"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/connect"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// defaultClusterPort is the port of a listener without cluster_address: one above
// that of its address.
const defaultClusterPort = 8201

// A clusterNetwork carries raft and forwarded requests between the servers of a
// cluster: through the lab's proxy to the others, and from the address of the
// container's cluster port.
type clusterNetwork struct {
	port int
	addr string // of the container's port, see container.Report
	open func() (net.Listener, error)
	dial connect.Dialer
	log  hclog.Logger

	mu       sync.Mutex
	listener cluster.NetworkListener // nil while Vault is sealed
}

func newClusterNetwork(spec container.Spec, port int, log hclog.Logger) (*clusterNetwork, error) {
	dial, err := connect.NewDialer(spec.Proxy)
	if err != nil {
		return nil, err
	}
	// Vault opens and closes its cluster port with each unseal and seal; the address is
	// reported once.
	first, address, err := open(spec, port)
	if err != nil {
		return nil, fmt.Errorf("vault cluster port %d: %w", port, err)
	}
	n := &clusterNetwork{port: port, addr: address, dial: dial, log: log}
	n.open = func() (net.Listener, error) {
		if ln := first; ln != nil {
			first = nil
			return ln, nil
		}
		if spec.Sockets == "" {
			return net.Listen("tcp", address)
		}
		ln, _, err := open(spec, port)
		return ln, err
	}
	return n, nil
}

// Addrs implements cluster.NetworkLayer.
func (n *clusterNetwork) Addrs() []net.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listener == nil {
		return nil
	}
	return []net.Addr{n.listener.Addr()}
}

// Listeners implements cluster.NetworkLayer.
func (n *clusterNetwork) Listeners() []cluster.NetworkListener {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listener == nil {
		ln, err := n.open()
		if err != nil {
			n.log.Error("cluster listener", "error", err)
			return nil
		}
		n.listener = deadlined(ln)
	}
	return []cluster.NetworkListener{n.listener}
}

// Dial implements cluster.NetworkLayer.
func (n *clusterNetwork) Dial(address string, timeout time.Duration, config *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	raw, err := n.dial.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// Close implements cluster.NetworkLayer. Vault calls it when it is sealed.
func (n *clusterNetwork) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	ln := n.listener
	n.listener = nil
	if ln == nil {
		return nil
	}
	if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// deadlined returns ln with the deadline that Vault's accept loop needs.
func deadlined(ln net.Listener) cluster.NetworkListener {
	if l, ok := ln.(local); ok {
		return localListener{l, l.Listener.(*net.UnixListener)}
	}
	return ln.(*net.TCPListener)
}

// A localListener is a [local] with a deadline.
type localListener struct {
	local
	unix *net.UnixListener
}

// SetDeadline bounds Accept.
func (l localListener) SetDeadline(t time.Time) error { return l.unix.SetDeadline(t) }

// joinCluster lets the core serve others of its cluster and join it, as the server
// command does before its listeners open.
func joinCluster(ctx context.Context, core *vault.Core, conf *config) error {
	// The network layer listens; without an address Vault does not start it.
	core.SetClusterListenerAddrs([]*net.TCPAddr{{IP: net.IPv4(127, 0, 0, 1), Port: conf.clusterPort}})
	var handler http.Handler = vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}})
	core.SetClusterHandler(handler)
	return core.InitiateRetryJoin(ctx)
}
