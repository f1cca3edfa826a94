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

// A world is what needs the API server: the node, and the network and storage
// of its pods.
type world struct {
	node    Node
	network *netproxy.Directory
	ports   *nodeport.Forwarder
	volumes *storage.Provisioner
	objects informers.SharedInformerFactory
}

// runNode makes the world once the API server answers, runs it, and returns
// when the lab has ended.
func (l *Lab) runNode(ctx context.Context, doors ...net.Listener) error {
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := l.plane.WaitPart(starting, controlplane.APIServer); err != nil {
		return stopped(ctx, err)
	}
	w, err := l.newWorld()
	if err != nil {
		return err
	}
	l.set(w.node, w.ports)

	// The parts end in order, after ctx: first the node, with its containers.
	running, stopRunning := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRunning()
	w.objects.Start(running.Done())
	proxy := l.serveProxy(w.network, doors)
	defer proxy.Close()
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stopRunning()
	parts.Go(func() { w.ports.Run(running) })
	parts.Go(func() { w.volumes.Run(running) })

	node := startNode(running, w.node)
	context.AfterFunc(node.ctx, cancel)
	if err := l.waitReady(starting, w.network); err != nil {
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

// stopped turns an error that only says that the lab was asked to end into nil.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (l *Lab) newWorld() (*world, error) {
	w := &world{objects: informers.NewSharedInformerFactory(l.api, 0)}
	var err error
	if w.node, err = l.newNode(); err != nil {
		return nil, err
	}
	if w.network, err = l.newDirectory(w.node); err != nil {
		return nil, err
	}
	if err := w.network.Watch(w.objects); err != nil {
		return nil, err
	}
	if w.ports, err = nodeport.New(l.address, w.network, w.objects, l.log.Printf); err != nil {
		return nil, err
	}
	w.volumes, err = storage.New(l.api, w.objects, l.dir.Volumes(), l.log.Printf)
	return w, err
}

// serveProxy opens the doors of the pods' network.
func (l *Lab) serveProxy(d *netproxy.Directory, doors []net.Listener) *http.Server {
	proxy := netproxy.NewServer(d, l.password, l.log)
	for _, door := range doors {
		go func() {
			if err := proxy.Serve(door); !errors.Is(err, http.ErrServerClosed) {
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

// failure says why the node ended by itself; nil while it runs and after it was
// asked to end.
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
