package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/informers"

	"github.com/ztplan/ztplan/cmd/ztlab/controlplane"
	"github.com/ztplan/ztplan/cmd/ztlab/netproxy"
	"github.com/ztplan/ztplan/cmd/ztlab/nodeport"
	"github.com/ztplan/ztplan/cmd/ztlab/storage"
)

// nodeServices are the parts that need the API server: the node, and the network and
// storage of its pods.
type nodeServices struct {
	node    Node
	network *netproxy.Directory
	ports   *nodeport.Forwarder
	volumes *storage.Provisioner
	objects informers.SharedInformerFactory
}

// runNode starts the node and its services once the API server answers, with the
// pods' proxy on listeners, and returns when the lab has ended.
func (l *Lab) runNode(ctx context.Context, listeners ...net.Listener) error {
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := l.plane.WaitPart(starting, controlplane.APIServer); err != nil {
		return stopped(ctx, err)
	}
	services, err := l.newNodeServices()
	if err != nil {
		return err
	}
	l.set(services.node, services.ports)

	// The parts end in order, after ctx: first the node, with its containers.
	running, stopRunning := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRunning()
	services.objects.Start(running.Done())
	proxy := l.serveProxy(services.network, listeners)
	defer proxy.Close()
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stopRunning()
	parts.Go(func() { services.ports.Run(running) })
	parts.Go(func() { services.volumes.Run(running) })

	node := startNode(running, services.node)
	context.AfterFunc(node.ctx, cancel)
	if err := l.waitReady(starting, services.network); err != nil {
		return stopped(ctx, errors.Join(node.failure(), err))
	}
	l.announce(ctx)
	select {
	case <-node.ctx.Done():
		return node.failure()
	case <-ctx.Done():
	}
	stopRunning()
	select {
	case <-node.ctx.Done():
	case <-time.After(nodeGrace):
		l.log.Printf("node: containers did not end within %v; killing them", nodeGrace)
	}
	return nil
}

// stopped returns err, or nil when ctx has ended: the error is its consequence.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (l *Lab) newNodeServices() (*nodeServices, error) {
	services := &nodeServices{objects: informers.NewSharedInformerFactory(l.api, 0)}
	var err error
	if services.node, err = l.newNode(); err != nil {
		return nil, err
	}
	if services.network, err = l.newDirectory(services.node); err != nil {
		return nil, err
	}
	if err := services.network.Watch(services.objects); err != nil {
		return nil, err
	}
	if services.ports, err = nodeport.New(l.address, services.network, services.objects, l.log.Printf); err != nil {
		return nil, err
	}
	services.volumes, err = storage.New(l.api, services.objects, l.dir.Volumes(), l.log.Printf)
	return services, err
}

// serveProxy serves the pods' proxy on listeners.
func (l *Lab) serveProxy(d *netproxy.Directory, listeners []net.Listener) *http.Server {
	proxy := netproxy.NewServer(d, l.password, l.log)
	for _, listener := range listeners {
		go func() {
			if err := proxy.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				l.log.Printf("proxy: %v", err)
			}
		}()
	}
	return proxy
}

func (l *Lab) newNode() (Node, error) {
	if l.options.NewNode == nil {
		return nil, nil
	}
	node, err := l.options.NewNode(NodeConfig{
		Client: l.client, Name: NodeName, Address: l.address,
		StateDir: l.dir.Node(), Executable: l.options.Executable,
		Sockets:   l.dir.Sockets(),
		ProxyURL:  (&url.URL{Scheme: "http", User: url.UserPassword("lab", l.password), Host: l.proxy.Addr().String()}).String(),
		APIServer: l.plane.Server(), CAFile: l.plane.CAFile(),
		Logf: l.log.Printf,
	})
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return node, nil
}

func (l *Lab) newDirectory(node Node) (*netproxy.Directory, error) {
	d := &netproxy.Directory{
		APIServer: l.plane.Address(), AdvertiseAddress: controlplane.AdvertiseAddress, NodeAddress: l.address,
	}
	if node == nil {
		return d, nil
	}
	d.Pods, d.Kubelet = node, node.KubeletAddress()
	_, port, err := net.SplitHostPort(d.Kubelet)
	if err != nil {
		return nil, fmt.Errorf("node: kubelet address %q: %w", d.Kubelet, err)
	}
	if d.KubeletPort, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("node: kubelet address %q: %w", d.Kubelet, err)
	}
	return d, nil
}

// A runningNode is a node that was started. Its context ends when the node has
// ended.
type runningNode struct{ ctx context.Context }

// failure returns the reason why the node ended by itself; nil while it runs and
// after it was asked to end.
func (n runningNode) failure() error {
	if err := context.Cause(n.ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}

// startNode runs a node until ctx ends.
func startNode(ctx context.Context, node Node) runningNode {
	ended, end := context.WithCancelCause(context.Background())
	if node == nil {
		context.AfterFunc(ctx, func() { end(nil) })
		return runningNode{ended}
	}
	go func() {
		err := node.Run(ctx)
		if err == nil && ctx.Err() == nil {
			err = errors.New("it ended by itself")
		}
		end(err)
	}()
	return runningNode{ended}
}
