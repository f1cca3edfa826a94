// Package netproxy is the network of a lab. Pod addresses and cluster
// addresses are labels that no interface has; this package knows, from
// Services and EndpointSlices, which loopback address each of them stands for,
// and lends that knowledge to those who must connect: to containers as an HTTP
// proxy, to the API server as the HTTPConnect proxy of its egress selector
// (KEP-1281), to NodePorts as a dialer.
package netproxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// clusterDomain is the DNS domain of the cluster; kubeadm's default.
const clusterDomain = "cluster.local"

// A Resolver knows the pods of the lab's node.
type Resolver interface {
	// Lookup returns the address that serves a port of a pod, see
	// [container.Dial]; false when nothing listens there.
	Lookup(podIP string, port int) (addr string, ok bool)
}

// A Directory resolves the addresses of the cluster. Set its fields
// before the first use.
type Directory struct {
	// APIServer is the real address (host:port) behind AdvertiseAddress.
	APIServer, AdvertiseAddress string
	// NodeAddress is the node's loopback address. Its ports are dialed as they
	// are, except KubeletPort, which Kubelet (host:port) serves.
	NodeAddress, Kubelet string
	KubeletPort          int
	// Pods answers for pod addresses; nil means that there are no pods.
	Pods Resolver

	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
	byIP     cache.Indexer
	synced   []cache.InformerSynced
}

// byClusterIP indexes Services by their cluster addresses.
const byClusterIP = "clusterIP"

// Watch takes Services and EndpointSlices from a factory that has not been
// started yet.
func (d *Directory) Watch(f informers.SharedInformerFactory) error {
	services := f.Core().V1().Services()
	endpoints := f.Discovery().V1().EndpointSlices()
	err := services.Informer().AddIndexers(cache.Indexers{byClusterIP: func(obj any) ([]string, error) {
		return obj.(*corev1.Service).Spec.ClusterIPs, nil
	}})
	if err != nil {
		return fmt.Errorf("service index: %w", err)
	}
	d.services, d.slices = services.Lister(), endpoints.Lister()
	d.byIP = services.Informer().GetIndexer()
	d.synced = []cache.InformerSynced{services.Informer().HasSynced, endpoints.Informer().HasSynced}
	return nil
}

// Synced reports whether the directory has seen the whole cluster once.
func (d *Directory) Synced() bool {
	return !slices.ContainsFunc(d.synced, func(f cache.InformerSynced) bool { return !f() })
}

// Dial connects to an address as a pod of the cluster sees it: a Service name,
// a cluster IP, a pod's IP or name, the node. It knows nothing else: a lab has
// no way out. Errors read as those of a real network do.
func (d *Directory) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	targets, err := d.Resolve(addr)
	if err != nil {
		return nil, err
	}
	return dialAny(ctx, addr, targets)
}

// Qualify returns addr as a pod of a namespace means it: its resolver tries a short
// name below the namespace's domain first (dns-pod-service: search
// NAMESPACE.svc.cluster.local). Other addresses stay as they are.
func (d *Directory) Qualify(namespace, addr string) string {
	host, port, err := net.SplitHostPort(addr)
	labels := strings.Split(host, ".")
	if err != nil || namespace == "" || len(labels) > 2 {
		return addr
	}
	if _, err := d.services.Services(namespace).Get(labels[len(labels)-1]); err != nil {
		return addr
	}
	return net.JoinHostPort(host+"."+namespace+".svc", port)
}

// DialService connects to a ready endpoint of a Service's port.
func (d *Directory) DialService(ctx context.Context, svc *corev1.Service, port corev1.ServicePort) (net.Conn, error) {
	addr := net.JoinHostPort(svc.Name+"."+svc.Namespace+".svc", strconv.Itoa(int(port.Port)))
	targets, err := d.endpoints(svc, port.Name, "")
	if err != nil {
		return nil, err
	}
	return dialAny(ctx, addr, targets)
}

func dialAny(ctx context.Context, addr string, targets []string) (net.Conn, error) {
	err := refused(addr, "")
	for _, t := range targets {
		var conn net.Conn
		if conn, err = container.Dial(ctx, t); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// Resolve returns the addresses, see [container.Dial], that serve addr ("host:port"), in the
// order in which to try them.
func (d *Directory) Resolve(addr string) ([]string, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("address %s: port %q is not a number", addr, portText)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return d.resolveIP(ip.String(), port)
	}
	return d.resolveName(strings.TrimSuffix(strings.ToLower(host), "."), port)
}

func (d *Directory) resolveIP(ip string, port int) ([]string, error) {
	addr := net.JoinHostPort(ip, strconv.Itoa(port))
	switch ip {
	case d.AdvertiseAddress:
		return []string{d.APIServer}, nil
	case d.NodeAddress:
		if port == d.KubeletPort {
			addr = d.Kubelet
		}
		return []string{addr}, nil
	}
	found, err := d.byIP.ByIndex(byClusterIP, ip)
	if err != nil {
		return nil, err
	}
	for _, obj := range found {
		return d.resolveService(obj.(*corev1.Service), port, "")
	}
	if d.Pods != nil {
		if target, ok := d.Pods.Lookup(ip, port); ok {
			return []string{target}, nil
		}
	}
	return nil, refused(addr, "nothing in the lab listens there, and a lab has no way out")
}

// resolveName follows the cluster DNS specification 1.1.0: Services, endpoints
// of headless Services, and pods by their address.
func (d *Directory) resolveName(name string, port int) ([]string, error) {
	label := strings.Split(strings.TrimSuffix(name, "."+clusterDomain), ".")
	n := len(label)
	switch {
	case n == 2, n == 3 && label[2] == "svc":
		return d.resolveNamed(name, label[1], label[0], "", port)
	case n == 4 && label[3] == "svc":
		return d.resolveNamed(name, label[2], label[1], label[0], port)
	case n == 3 && label[2] == "pod":
		return d.resolveIP(strings.ReplaceAll(label[0], "-", "."), port)
	}
	return nil, unknownName(name)
}

func (d *Directory) resolveNamed(name, namespace, service, hostname string, port int) ([]string, error) {
	svc, err := d.services.Services(namespace).Get(service)
	if err != nil {
		return nil, unknownName(name)
	}
	if svc.Spec.Type == corev1.ServiceTypeExternalName {
		if svc.Spec.ExternalName == name {
			return nil, unknownName(name)
		}
		return d.Resolve(net.JoinHostPort(svc.Spec.ExternalName, strconv.Itoa(port)))
	}
	return d.resolveService(svc, port, hostname)
}

// resolveService finds the endpoints behind a port of a Service. A headless
// Service has no ports of its own: its names lead to the pods, for any
// port.
func (d *Directory) resolveService(svc *corev1.Service, port int, hostname string) ([]string, error) {
	if svc.Spec.ClusterIP == corev1.ClusterIPNone {
		return d.headless(svc, port, hostname)
	}
	for _, p := range svc.Spec.Ports {
		if int(p.Port) == port && (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") {
			return d.endpoints(svc, p.Name, hostname)
		}
	}
	return nil, refused(net.JoinHostPort(svc.Spec.ClusterIP, strconv.Itoa(port)),
		fmt.Sprintf("service %q has no port %d", svc.Namespace+"/"+svc.Name, port))
}

// endpoints lists the endpoints of the named port of a Service, in random order.
func (d *Directory) endpoints(svc *corev1.Service, portName, hostname string) ([]string, error) {
	var targets []string
	err := d.eachEndpoint(svc, hostname, func(slice *discoveryv1.EndpointSlice, ip string) {
		for _, p := range slice.Ports {
			if p.Port == nil || p.Name != nil && *p.Name != portName {
				continue
			}
			if t, ok := d.endpoint(ip, int(*p.Port)); ok {
				targets = append(targets, t)
			}
		}
	})
	return shuffled(svc, targets, err)
}

func (d *Directory) headless(svc *corev1.Service, port int, hostname string) ([]string, error) {
	var targets []string
	err := d.eachEndpoint(svc, hostname, func(_ *discoveryv1.EndpointSlice, ip string) {
		if t, ok := d.endpoint(ip, port); ok {
			targets = append(targets, t)
		}
	})
	return shuffled(svc, targets, err)
}

// endpoint maps one endpoint address to loopback.
func (d *Directory) endpoint(ip string, port int) (string, bool) {
	switch {
	case ip == d.AdvertiseAddress:
		return d.APIServer, true
	case ip == d.NodeAddress: // a pod on the node's network
		return net.JoinHostPort(ip, strconv.Itoa(port)), true
	case d.Pods == nil:
		return "", false
	}
	return d.Pods.Lookup(ip, port)
}

// eachEndpoint visits the ready endpoints of a Service or, when there are
// none, those that terminate but still serve, as kube-proxy does (KEP-1669).
func (d *Directory) eachEndpoint(svc *corev1.Service, hostname string, visit func(*discoveryv1.EndpointSlice, string)) error {
	list, err := d.slices.EndpointSlices(svc.Namespace).List(
		labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: svc.Name}))
	if err != nil {
		return err
	}
	visited := false
	for _, usable := range []func(discoveryv1.EndpointConditions) bool{isReady, isServing} {
		for _, slice := range list {
			for _, e := range slice.Endpoints {
				if !usable(e.Conditions) || hostname != "" && (e.Hostname == nil || *e.Hostname != hostname) {
					continue
				}
				for _, ip := range e.Addresses {
					visited = true
					visit(slice, ip)
				}
			}
		}
		if visited {
			return nil
		}
	}
	return nil
}

// isReady reads a missing condition as true, as the API defines.
func isReady(c discoveryv1.EndpointConditions) bool { return c.Ready == nil || *c.Ready }

func isServing(c discoveryv1.EndpointConditions) bool {
	return c.Serving != nil && *c.Serving && c.Terminating != nil && *c.Terminating
}

func shuffled(svc *corev1.Service, targets []string, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		return nil, refused(svc.Name+"."+svc.Namespace+".svc",
			fmt.Sprintf("no endpoints available for service %q", svc.Namespace+"/"+svc.Name))
	}
	rand.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	return targets, nil
}

// refused is a real network's answer where nothing listens.
func refused(addr, why string) error {
	err := fmt.Errorf("dial tcp %s: connect: %w", addr, syscall.ECONNREFUSED)
	if why != "" {
		err = fmt.Errorf("%w (%s)", err, why)
	}
	return err
}

// errUnknownName is wrapped by every error about a name.
var errUnknownName = errors.New("no such host")

// unknownName is a real resolver's answer.
func unknownName(name string) error {
	return fmt.Errorf("lookup %s: %w (the lab resolves names of its own cluster only)", name, errUnknownName)
}
