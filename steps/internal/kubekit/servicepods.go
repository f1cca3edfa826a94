package kubekit

import (
	"context"
	"fmt"
	"net"
)

// A ServicePod is one pod behind a port of a Service.
type ServicePod struct {
	Name string
	Port int // of the pod
	Dial func(context.Context) (net.Conn, error)
}

// ServicePods lists the running pods behind a port of a Service, the ready ones
// first, each with a way through the API server that keeps to it. The rules of
// the connections are those of DialPod.
func (c *Cluster) ServicePods(ctx context.Context, namespace, service string, port int) ([]ServicePod, error) {
	backends, err := c.backends(ctx, namespace, service, port)
	if err != nil {
		return nil, fmt.Errorf("service %s/%s port %d: %w", namespace, service, port, err)
	}
	pods := make([]ServicePod, len(backends))
	for i, b := range backends {
		pods[i] = ServicePod{Name: b.pod.name, Port: b.port, Dial: func(ctx context.Context) (net.Conn, error) {
			return c.tunnels.dial(ctx, b.pod, b.port)
		}}
	}
	return pods, nil
}
