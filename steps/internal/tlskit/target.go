package tlskit

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// The values of [Target.Endpoints].
const (
	EndpointsFirst = "first"
	EndpointsAll   = "all"
)

// ViaTunnel is the value of [Service.Via] that stands for a port-forward.
const ViaTunnel = "tunnel"

// A Target is the part of a spec that gives the address of connections. The
// name in the URL is the one that is requested (SNI, Host header, name in the
// certificate); the target only decides which address is dialled, so that no
// entry in /etc/hosts and no DNS record is needed.
type Target struct {
	// Address is the host and port to dial, such as 127.0.0.1:30443. Without
	// address and service the name in the URL is looked up in the DNS.
	Address string `yaml:"address"`

	// Service is the Kubernetes Service to dial, instead of address.
	Service *Service `yaml:"service"`

	// Endpoints selects the addresses that count when there are several (the nodes
	// of a cluster, the pods behind a Service through a tunnel, the addresses
	// of a DNS name): first, the first one that can be reached; or all, each of
	// them. Pods are those that are there when the step begins.
	Endpoints string `yaml:"endpoints" check:"oneof=first|all"`
}

// A Service names a Kubernetes Service and the way to it.
type Service struct {
	// Namespace is the Service's namespace.
	Namespace string `yaml:"namespace" check:"required"`

	// Name is the Service's name, such as apisix-gateway.
	Name string `yaml:"name" check:"required"`

	// Port is the Service's port, not its node port. By default the port of
	// the URL, which is 443 if it has none.
	Port int `yaml:"port" check:"min=0,max=65535"`

	// Via is the way to the Service: nodePort (the default), the port that the
	// Service opens on every node; or tunnel, port-forwards through the API
	// server to the pods behind it, for clusters whose nodes cannot be reached
	// from here, and to distinguish the pods.
	Via string `yaml:"via" check:"oneof=nodePort|tunnel"`
}

// Validate reports the problems of the target.
func (t Target) Validate(p *engine.Problems) {
	if t.Address != "" && t.Service != nil {
		p.Add("service", "address and service exclude each other: only one of them can be dialled")
	}
	if t.Address != "" {
		if _, port, err := net.SplitHostPort(t.Address); err != nil || !validPort(port) {
			p.AddProblem(engine.Problem{
				Field:   "address",
				Message: fmt.Sprintf("address %q is not a host and a port", t.Address),
				Hint:    "write it as 127.0.0.1:30443",
			})
		}
	}
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// Where names the target in the intent of a proof.
func (t Target) Where() string {
	s := "the address of the name in the DNS"
	switch {
	case t.Address != "":
		s = t.Address
	case t.Service != nil && t.Service.Via == ViaTunnel:
		if t.Endpoints == EndpointsAll {
			return fmt.Sprintf("service %s/%s through the API server, every pod", t.Service.Namespace, t.Service.Name)
		}
		return fmt.Sprintf("service %s/%s through the API server", t.Service.Namespace, t.Service.Name)
	case t.Service != nil:
		s = fmt.Sprintf("the node port of service %s/%s", t.Service.Namespace, t.Service.Name)
	}
	if t.Endpoints == EndpointsAll && t.Address == "" {
		s += ", every address"
	}
	return s
}

// Resolve returns the endpoints to dial for u: with endpoints all each of them
// counts, else the first that can be reached.
func (t Target) Resolve(ctx context.Context, env *engine.Env, u *url.URL) ([]Endpoint, error) {
	port := portOf(u)
	switch {
	case t.Address != "":
		return []Endpoint{Address(t.Address)}, nil
	case t.Service != nil:
		return t.Service.resolve(ctx, env, port, t.Endpoints == EndpointsAll)
	case t.Endpoints == EndpointsAll:
		hosts, err := net.DefaultResolver.LookupHost(ctx, u.Hostname())
		if err != nil {
			return nil, newDialFailure(u.Hostname(), err, fromPlan)
		}
		endpoints := make([]Endpoint, len(hosts))
		for i, h := range hosts {
			endpoints[i] = Address(net.JoinHostPort(h, port))
		}
		return endpoints, nil
	default:
		return []Endpoint{Address(net.JoinHostPort(u.Hostname(), port))}, nil
	}
}

// Replicas lists the ready pods behind the Service that is dialled for u; there
// must be one.
func (t Target) Replicas(ctx context.Context, env *engine.Env, u *url.URL) (kubekit.Replicas, error) {
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return kubekit.Replicas{}, err
	}
	return cluster.Replicas(ctx, t.Service.Namespace, t.Service.Name, t.Service.port(portOf(u)))
}

func portOf(u *url.URL) string { return cmp.Or(u.Port(), "443") }

// port returns the Service's port: that of the URL unless it is given.
func (s *Service) port(ofURL string) int {
	if s.Port != 0 {
		return s.Port
	}
	port, _ := strconv.Atoi(ofURL) // a URL's port is a number
	return port
}

func (s *Service) resolve(ctx context.Context, env *engine.Env, urlPort string, all bool) ([]Endpoint, error) {
	port := s.port(urlPort)
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return nil, err
	}
	if s.Via == ViaTunnel && all {
		pods, err := cluster.ServicePods(ctx, s.Namespace, s.Name, port)
		if err != nil {
			return nil, kubekit.Settle(env, err)
		}
		endpoints := make([]Endpoint, len(pods))
		for i, p := range pods {
			endpoints[i] = NewEndpoint(fmt.Sprintf("pod %s/%s:%d", s.Namespace, p.Name, p.Port), p.Dial)
		}
		return endpoints, nil
	}
	if s.Via == ViaTunnel {
		name := fmt.Sprintf("service %s/%s:%d", s.Namespace, s.Name, port)
		return []Endpoint{NewEndpoint(name, func(ctx context.Context) (net.Conn, error) {
			conn, err := cluster.DialService(ctx, s.Namespace, s.Name, port)
			return conn, kubekit.Settle(env, err)
		})}, nil
	}
	addresses, err := cluster.NodePort(ctx, s.Namespace, s.Name, port)
	if err != nil {
		return nil, kubekit.Settle(env, err)
	}
	endpoints := make([]Endpoint, len(addresses))
	for i, a := range addresses {
		endpoints[i] = Address(a)
		endpoints[i].from = fromNodePort
	}
	return endpoints, nil
}
