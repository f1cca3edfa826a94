package controller

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// defaultWeight is that of a backend for which none is given.
const defaultWeight = 100

// nodes are the servers behind a backend: ready pods, or the Service's own
// address when the backend asks for it. None when Service or port are missing.
func (c *controller) nodes(namespace string, b backend) ([]adminapi.Node, error) {
	weight := defaultWeight
	if b.Weight != nil {
		weight = *b.Weight
	}
	service, err := c.services.Services(namespace).Get(b.ServiceName)
	if apierrors.IsNotFound(err) {
		c.Log.Info("service not found", "service", namespace+"/"+b.ServiceName)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
		if b.ServicePort.Type == intstr.Int {
			return p.Port == b.ServicePort.IntVal
		}
		return p.Name == b.ServicePort.StrVal
	})
	if i < 0 {
		c.Log.Info("service port not found", "service", namespace+"/"+b.ServiceName, "port", portText(b.ServicePort))
		return nil, nil
	}
	port := service.Spec.Ports[i]
	if strings.EqualFold(b.ResolveGranularity, "service") {
		if ip := service.Spec.ClusterIP; ip != "" && ip != corev1.ClusterIPNone {
			return []adminapi.Node{{Host: ip, Port: int(port.Port), Weight: weight}}, nil
		}
		return nil, nil
	}
	addresses, err := c.pods(named(namespace, b.ServiceName), port.Name, func(e discoveryv1.Endpoint) bool {
		return e.Conditions.Ready == nil || *e.Conditions.Ready
	})
	var nodes []adminapi.Node
	for _, a := range addresses {
		nodes = append(nodes, adminapi.Node{Host: a.host, Port: a.port, Weight: weight})
	}
	return nodes, err
}

// An address is a port of a pod.
type address struct {
	host string
	port int
}

// String is the address as a dialer takes it.
func (a address) String() string {
	if strings.Contains(a.host, ":") {
		return "[" + a.host + "]:" + strconv.Itoa(a.port)
	}
	return a.host + ":" + strconv.Itoa(a.port)
}

// pods are the endpoints of a Service's port that take, in a fixed order.
func (c *controller) pods(service types.NamespacedName, port string, take func(discoveryv1.Endpoint) bool) ([]address, error) {
	selector := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
	found, err := c.endpoints.EndpointSlices(service.Namespace).List(selector)
	if err != nil {
		return nil, err
	}
	var addresses []address
	for _, slice := range found {
		for _, p := range slice.Ports {
			if p.Port == nil || (p.Name != nil && *p.Name != port) || (p.Name == nil && port != "") {
				continue
			}
			for _, endpoint := range slice.Endpoints {
				if !take(endpoint) {
					continue
				}
				for _, ip := range endpoint.Addresses {
					addresses = append(addresses, address{ip, int(*p.Port)})
				}
			}
		}
	}
	slices.SortFunc(addresses, func(a, b address) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(addresses), nil
}
