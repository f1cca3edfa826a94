// Package nodeport opens the NodePorts of a lab: every NodePort of every
// Service is a listener on the lab's own loopback address, and every
// connection to it is forwarded to an endpoint that is ready at that moment.
// A change of endpoints, or of the Service, does not touch connections that
// exist, as with kube-proxy.
package nodeport

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/ztplan/ztplan/cmd/ztlab/netproxy"
)

// retry is how often a port that is taken is tried again.
const retry = 2 * time.Second

// dialTimeout bounds the way to one endpoint.
const dialTimeout = 10 * time.Second

// A Dialer connects to an endpoint of a Service's port.
type Dialer interface {
	DialService(ctx context.Context, svc *corev1.Service, port corev1.ServicePort) (net.Conn, error)
}

// A Forwarder keeps the NodePorts open. Create it with [New].
type Forwarder struct {
	address  string
	dialer   Dialer
	logf     func(string, ...any)
	services corelisters.ServiceLister
	changed  chan struct{}

	mu   sync.Mutex
	open map[int32]*port
	errs map[int32]string
}

// New watches the Services of a factory that has not been started yet and
// opens their NodePorts on address.
func New(address string, d Dialer, f informers.SharedInformerFactory, logf func(string, ...any)) (*Forwarder, error) {
	services := f.Core().V1().Services()
	w := &Forwarder{
		address: address, dialer: d, logf: logf, services: services.Lister(),
		changed: make(chan struct{}, 1),
		open:    make(map[int32]*port), errs: make(map[int32]string),
	}
	_, err := services.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { w.wake() },
		UpdateFunc: func(any, any) { w.wake() },
		DeleteFunc: func(any) { w.wake() },
	})
	if err != nil {
		return nil, fmt.Errorf("node ports: %w", err)
	}
	return w, nil
}

func (w *Forwarder) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// Run opens and closes ports as Services come and go, until ctx ends. Then it
// closes the listeners and every connection.
func (w *Forwarder) Run(ctx context.Context) {
	ticker := time.NewTicker(retry)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			w.reconcile(ctx, nil)
			return
		case <-w.changed:
		case <-ticker.C:
			if len(w.Problems()) == 0 {
				continue
			}
		}
		services, err := w.services.List(labels.Everything())
		if err != nil {
			w.logf("node ports: %v", err)
			continue
		}
		w.reconcile(ctx, wanted(services))
	}
}

// A target is the end of a NodePort.
type target struct {
	service *corev1.Service
	port    corev1.ServicePort
}

// wanted maps each NodePort to its Service.
func wanted(services []*corev1.Service) map[int32]target {
	want := make(map[int32]target)
	for _, svc := range services {
		if svc.Spec.Type != corev1.ServiceTypeNodePort && svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		for _, p := range svc.Spec.Ports {
			if p.NodePort != 0 && (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") {
				want[p.NodePort] = target{svc, p}
			}
		}
	}
	return want
}

func (w *Forwarder) reconcile(ctx context.Context, want map[int32]target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for number, p := range w.open {
		if _, ok := want[number]; !ok {
			p.listener.Close()
			delete(w.open, number)
			w.logf("node port %d closed", number)
		}
	}
	clear(w.errs)
	for number, t := range want {
		if p, ok := w.open[number]; ok {
			p.lead(t)
			continue
		}
		p, err := w.listen(ctx, number, t)
		if err != nil {
			w.errs[number] = fmt.Sprintf(
				"node port %d of service %s/%s cannot be opened: %v; another program holds it: stop that, or choose another port",
				number, t.service.Namespace, t.service.Name, err)
			w.logf("%s", w.errs[number])
			continue
		}
		w.open[number] = p
		w.logf("node port %s leads to service %s/%s port %d", p.listener.Addr(), t.service.Namespace, t.service.Name, t.port.Port)
	}
}

// Problems returns the NodePorts that could not be opened, with the reasons, sorted.
func (w *Forwarder) Problems() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, e := range w.errs {
		list = append(list, e)
	}
	slices.Sort(list)
	return list
}

// A port is one open NodePort.
type port struct {
	listener net.Listener

	mu sync.Mutex
	to target
}

func (p *port) lead(t target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = t
}

func (p *port) target() target {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to
}

func (w *Forwarder) listen(ctx context.Context, number int32, t target) (*port, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(w.address, strconv.Itoa(int(number))))
	if err != nil {
		return nil, err
	}
	p := &port{listener: l, to: t}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			go w.forward(ctx, p, conn)
		}
	}()
	return p, nil
}

// forward joins a connection with an endpoint. A client of a Service without
// endpoints sees its connection reset, the nearest thing to kube-proxy's
// refusal that a listener can do.
func (w *Forwarder) forward(ctx context.Context, p *port, conn net.Conn) {
	dialing, cancel := context.WithTimeout(ctx, dialTimeout)
	t := p.target()
	endpoint, err := w.dialer.DialService(dialing, t.service, t.port)
	cancel()
	if err != nil {
		w.logf("node port %s: %v", p.listener.Addr(), err)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		conn.Close()
		return
	}
	stop := context.AfterFunc(ctx, func() { conn.Close(); endpoint.Close() })
	defer stop()
	netproxy.Splice(conn, endpoint)
}
