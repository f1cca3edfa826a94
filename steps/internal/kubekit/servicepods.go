package kubekit

import (
	"context"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A ServicePod is one pod behind a port of a Service.
type ServicePod struct {
	Name  string
	Node  string // "" if it is not known
	Port  int    // of the pod
	Ready bool   // the Service sends connections to it
	Dial  func(context.Context) (net.Conn, error)
}

// Replicas describes the spread of a Service's connections over its pods.
type Replicas struct {
	Pods []ServicePod // the ready ones

	// Sticky means that all connections of one client go to one pod
	// (spec.sessionAffinity: ClientIP).
	Sticky bool
	// LocalOnly means that a node sends connections to its own pods only
	// (spec.externalTrafficPolicy: Local).
	LocalOnly bool
}

// Replicas lists the ready pods behind a port of a Service.
func (c *Cluster) Replicas(ctx context.Context, namespace, service string, port int) (Replicas, error) {
	svc, found, err := c.backends(ctx, namespace, service, port)
	if err != nil {
		return Replicas{}, fmt.Errorf("service %s/%s port %d: %w", namespace, service, port, err)
	}
	out := Replicas{
		Sticky:    svc.Spec.SessionAffinity == corev1.ServiceAffinityClientIP,
		LocalOnly: svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
	}
	for _, p := range c.servicePods(found) {
		if p.Ready {
			out.Pods = append(out.Pods, p)
		}
	}
	return out, nil
}

// Processors returns the largest number of processors of the named nodes: the
// number of workers that a server starts when it makes one for each processor. It
// is 0 if none of the nodes can be read.
func (c *Cluster) Processors(ctx context.Context, nodes []string) int {
	most := int64(0)
	for _, name := range nodes {
		node, err := c.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			most = max(most, node.Status.Capacity.Cpu().Value())
		}
	}
	return int(most)
}

// ServicePods lists the running pods behind a port of a Service, the ready ones
// first. Dial opens a connection to that pod; see [Cluster.DialService].
func (c *Cluster) ServicePods(ctx context.Context, namespace, service string, port int) ([]ServicePod, error) {
	_, backends, err := c.backends(ctx, namespace, service, port)
	if err != nil {
		return nil, fmt.Errorf("service %s/%s port %d: %w", namespace, service, port, err)
	}
	return c.servicePods(backends), nil
}

func (c *Cluster) servicePods(backends []backend) []ServicePod {
	pods := make([]ServicePod, len(backends))
	for i, b := range backends {
		dial := func(ctx context.Context) (net.Conn, error) { return c.dial(ctx, b) }
		pods[i] = ServicePod{Name: b.pod.Name, Node: b.node, Port: b.port, Ready: b.ready, Dial: dial}
	}
	return pods
}
