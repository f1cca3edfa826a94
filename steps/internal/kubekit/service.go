package kubekit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
	"github.com/ztplan/ztplan/steps/internal/kubekit/portforward"
)

// DialService opens a connection to a port of a Service through the API server: to a running
// pod behind it, a ready one if there is any, also where the Service publishes others as
// ready. A pod that runs and is not ready, as a sealed Vault, is reached too. ctx bounds the
// dialling; the connection lives until it is closed or the session ends. That nothing listens
// on the port is the first Read's error.
func (c *Cluster) DialService(ctx context.Context, namespace, service string, port int) (net.Conn, error) {
	_, backends, err := c.backends(ctx, namespace, service, port)
	if err != nil {
		return nil, fmt.Errorf("service %s/%s port %d: %w", namespace, service, port, err)
	}
	var errs []error
	for _, b := range backends {
		conn, err := c.dial(ctx, b)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("service %s/%s port %d: %w", namespace, service, port, errors.Join(errs...))
}

// dial opens a connection to a pod of a Service.
func (c *Cluster) dial(ctx context.Context, b backend) (net.Conn, error) {
	conn, err := c.tunnels.Dial(ctx, b.pod, b.port)
	switch {
	case apierrors.IsNotFound(err):
		return nil, err // pods come and go
	case apierrors.IsForbidden(err), err != nil && denied.MatchString(err.Error()): // an upgrade that fails has no status
		return nil, engine.Permanent(engine.WithHint(err,
			"the user in the kubeconfig needs create and get on pods/portforward in that namespace: ztplan rbac PLAN prints the roles that the plan needs"))
	case err != nil:
		return nil, Classify(err)
	}
	return conn, nil
}

// backend is one pod and port behind a Service's port.
type backend struct {
	pod   portforward.Pod
	node  string
	port  int
	ready bool // the Service sends connections to it

	// serving means that the pod itself is ready. A Service with publishNotReadyAddresses,
	// as the one of Vault's chart, has ready endpoints whose pods are not (EndpointConditions
	// in the API of discovery.k8s.io/v1).
	serving bool
}

// backends lists the pods of a Service's port: those that are ready themselves first, then
// those that the Service calls ready. It asks for the Service and its EndpointSlices at once:
// one round trip.
func (c *Cluster) backends(ctx context.Context, namespace, service string, port int) (*corev1.Service, []backend, error) {
	var sliced *discoveryv1.EndpointSliceList
	svc, sp, err := c.servicePort(ctx, namespace, service, port, func() (err error) {
		sliced, err = c.client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{
			LabelSelector: discoveryv1.LabelServiceName + "=" + service,
		})
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	found := fromSlices(sliced.Items, namespace, sp)
	var seen []string
	if len(found) == 0 && len(svc.Spec.Selector) > 0 {
		// The controller of EndpointSlices may lag behind a pod that has just
		// started, so ask for the pods themselves.
		pods, err := c.selected(ctx, namespace, svc)
		if err != nil {
			return nil, nil, Classify(err)
		}
		found, seen = fromPods(pods, sp)
	}
	if len(found) == 0 {
		if len(seen) == 0 {
			return nil, nil, errors.New("there is no pod behind it")
		}
		return nil, nil, fmt.Errorf("no pod behind it is running: %s", strings.Join(seen, "; "))
	}
	return svc, readyFirst(found), nil
}

func readyFirst(found []backend) []backend {
	rank := func(b backend) int {
		switch {
		case b.serving:
			return 0
		case b.ready:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(found, func(a, b backend) int { return cmp.Compare(rank(a), rank(b)) })
	return found
}

// selected lists the pods that a Service selects.
func (c *Cluster) selected(ctx context.Context, namespace string, svc *corev1.Service) ([]corev1.Pod, error) {
	pods, err := c.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: labels.SelectorFromSet(svc.Spec.Selector).String(),
	})
	if err != nil {
		return nil, err
	}
	return pods.Items, nil
}

// servicePort returns a Service and one of its ports. It calls beside meanwhile.
func (c *Cluster) servicePort(ctx context.Context, namespace, service string, port int, beside func() error) (*corev1.Service, corev1.ServicePort, error) {
	var (
		besideErr error
		wg        engine.Group
	)
	wg.Go(func() { besideErr = beside() })
	svc, err := c.client.CoreV1().Services(namespace).Get(ctx, service, metav1.GetOptions{})
	wg.Wait()
	if apierrors.IsNotFound(err) {
		return nil, corev1.ServicePort{}, engine.WithHint(&NoServiceError{namespace, service}, "the step that installs it must come first: add it to needs")
	}
	if err := cmp.Or(err, besideErr); err != nil {
		return nil, corev1.ServicePort{}, Classify(err)
	}
	var known []string
	for _, p := range svc.Spec.Ports {
		if int(p.Port) == port {
			return svc, p, nil
		}
		known = append(known, strconv.Itoa(int(p.Port)))
	}
	return nil, corev1.ServicePort{}, engine.Permanent(engine.WithHint(errors.New("the Service has no such port"),
		"its ports are "+strings.Join(known, ", ")))
}

func fromSlices(list []discoveryv1.EndpointSlice, namespace string, sp corev1.ServicePort) []backend {
	var found []backend
	for _, s := range list {
		port := 0
		for _, p := range s.Ports {
			if p.Port != nil && ptr.Deref(p.Name, "") == sp.Name {
				port = int(*p.Port)
			}
		}
		if port == 0 {
			continue
		}
		for _, e := range s.Endpoints {
			if e.TargetRef == nil || e.TargetRef.Kind != "Pod" || ptr.Deref(e.Conditions.Terminating, false) {
				continue
			}
			ready := ptr.Deref(e.Conditions.Ready, true)
			found = append(found, backend{
				pod:     portforward.Pod{Namespace: namespace, Name: e.TargetRef.Name, UID: string(e.TargetRef.UID)},
				node:    ptr.Deref(e.NodeName, ""),
				port:    port,
				ready:   ready,
				serving: ptr.Deref(e.Conditions.Serving, ready),
			})
		}
	}
	return found
}

// fromPods lists the running pods, and describes the others.
func fromPods(pods []corev1.Pod, sp corev1.ServicePort) (found []backend, others []string) {
	for _, p := range pods {
		if running, why := kubestatus.PodRuns(&p); !running {
			others = append(others, "pod "+p.Name+" "+why)
			continue
		}
		port := targetPort(&p, sp)
		if port == 0 {
			others = append(others, fmt.Sprintf("pod %s has no port named %s", p.Name, sp.TargetPort.StrVal))
			continue
		}
		ready := kubestatus.PodReady(&p)
		found = append(found, backend{
			pod:     portforward.Pod{Namespace: p.Namespace, Name: p.Name, UID: string(p.UID)},
			node:    p.Spec.NodeName,
			port:    port,
			ready:   ready,
			serving: ready,
		})
	}
	return found, others
}

func targetPort(p *corev1.Pod, sp corev1.ServicePort) int {
	switch {
	case sp.TargetPort.Type == intstr.Int && sp.TargetPort.IntVal != 0:
		return int(sp.TargetPort.IntVal)
	case sp.TargetPort.Type == intstr.Int:
		return int(sp.Port)
	}
	for _, ct := range p.Spec.Containers {
		for _, cp := range ct.Ports {
			if cp.Name == sp.TargetPort.StrVal {
				return int(cp.ContainerPort)
			}
		}
	}
	return 0
}

// NodePort returns "host:port" for every node of the cluster, where port is the
// node port of the Service's port: internal addresses, or external ones of
// nodes that have no internal one. Ready nodes come first.
func (c *Cluster) NodePort(ctx context.Context, namespace, service string, port int) ([]string, error) {
	wrap := func(err error) error {
		return fmt.Errorf("service %s/%s port %d: %w", namespace, service, port, err)
	}
	var nodes *corev1.NodeList
	svc, sp, err := c.servicePort(ctx, namespace, service, port, func() (err error) {
		nodes, err = c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		return err
	})
	if err != nil {
		return nil, wrap(err)
	}
	if sp.NodePort == 0 {
		return nil, wrap(engine.Permanent(engine.WithHint(
			fmt.Errorf("it has no node port, being of type %s", svc.Spec.Type),
			"make the Service's type NodePort, or reach it through the API server")))
	}
	var ready, others []string
	for _, n := range nodes.Items {
		host := nodeAddress(&n)
		if host == "" {
			continue
		}
		address := net.JoinHostPort(host, strconv.Itoa(int(sp.NodePort)))
		if nodeReady(&n) {
			ready = append(ready, address)
		} else {
			others = append(others, address)
		}
	}
	if len(ready)+len(others) == 0 {
		return nil, wrap(errors.New("no node of the cluster has an address"))
	}
	return append(ready, others...), nil
}

func nodeAddress(n *corev1.Node) string {
	for _, kind := range []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP} {
		for _, a := range n.Status.Addresses {
			if a.Type == kind {
				return a.Address
			}
		}
	}
	return ""
}

func nodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
