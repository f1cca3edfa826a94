package controller

import (
	"fmt"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// reconcileIngress keeps the gateway objects that an Ingress of one of our classes asks
// for. Its status, which has no conditions, is left alone.
func (c *controller) reconcileIngress(key object) error {
	o, err := c.ingresses.Ingresses(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		c.forget(key)
		return nil
	}
	if err != nil {
		return err
	}
	class := ""
	if o.Spec.IngressClassName != nil {
		class = *o.Spec.IngressClassName
	}
	found, err := c.class(class)
	if err != nil {
		return err
	}
	if found == nil {
		c.forget(key)
		return nil
	}
	proxy, leads := parameters(found)
	if !leads {
		c.Log.Info("no GatewayProxy configs provided", "kind", key.kind, "object", key.String(), "ingressClass", found.Name)
		c.forget(key)
		return nil
	}
	want, err := c.translateIngress(o)
	if err != nil {
		return err
	}
	want.proxy, want.generation = proxy, o.Generation
	if before, ok := c.deaf(key, o.Generation, c.bugsBehind(proxy)); ok {
		want.ssls = before.ssls
	}
	c.want(key, want)
	return nil
}

// translateIngress makes a certificate object of each entry of tls, and a route object of
// each path. A Secret that is missing is passed over, as upstream does.
func (c *controller) translateIngress(o *networkingv1.Ingress) (wanted, error) {
	var want wanted
	for i, entry := range o.Spec.TLS {
		secret, err := c.secrets.Secrets(o.Namespace).Get(entry.SecretName)
		if apierrors.IsNotFound(err) {
			c.Log.Info("secret not found", "ingress", o.Namespace+"/"+o.Name, "secret", entry.SecretName)
			continue
		}
		if err != nil {
			return want, err
		}
		cert, key := pairOf(secret)
		if cert == "" || len(entry.Hosts) == 0 {
			continue
		}
		want.ssls = append(want.ssls, adminapi.SSL{
			ID: identity(kindIngress, o.Namespace, o.Name, fmt.Sprint(i)), Cert: cert, Key: key, SNIs: entry.Hosts, Labels: c.labels(kindIngress, o.ObjectMeta),
		})
	}
	for i, rule := range o.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for j, path := range rule.HTTP.Paths {
			route, err := c.ingressRoute(o, rule.Host, path, fmt.Sprintf("%d-%d", i, j))
			if err != nil {
				return want, err
			}
			want.routes = append(want.routes, route)
		}
	}
	return want, nil
}

func (c *controller) ingressRoute(o *networkingv1.Ingress, host string, path networkingv1.HTTPIngressPath, name string) (adminapi.Route, error) {
	route := adminapi.Route{
		ID: identity(kindIngress, o.Namespace, o.Name, name), Name: fmt.Sprintf("%s_%s_%s", o.Namespace, o.Name, name), URIs: ingressPaths(path),
		Upstream: &adminapi.Upstream{Type: "roundrobin", Nodes: []adminapi.Node{}}, Labels: c.labels(kindIngress, o.ObjectMeta),
	}
	if host != "" {
		route.Hosts = []string{host}
	}
	service := path.Backend.Service
	if service == nil {
		return route, nil
	}
	port := intstr.FromInt32(service.Port.Number)
	if service.Port.Name != "" {
		port = intstr.FromString(service.Port.Name)
	}
	nodes, err := c.nodes(o.Namespace, backend{ServiceName: service.Name, ServicePort: port})
	route.Upstream.Nodes = append(route.Upstream.Nodes, nodes...)
	return route, err
}

// ingressPaths are the paths of APISIX that stand for a path of an Ingress.
func ingressPaths(path networkingv1.HTTPIngressPath) []string {
	if path.PathType != nil && *path.PathType == networkingv1.PathTypePrefix {
		return pathsBelow(path.Path)
	}
	return []string{max(path.Path, "/")}
}

// pathsBelow are the paths of APISIX for a path and all below it.
func pathsBelow(path string) []string {
	prefix := strings.TrimSuffix(path, "/")
	return []string{prefix + "/*", max(prefix, "/")}
}

// ingressesWhere queues the Ingresses of a namespace that meet a condition.
func (c *controller) ingressesWhere(namespace string, meets func(*networkingv1.Ingress) bool) {
	all, err := c.ingresses.Ingresses(namespace).List(labels.Everything())
	if err != nil {
		return // a cache does not fail
	}
	for _, o := range all {
		if meets(o) {
			c.queue.Add(object{kindIngress, types.NamespacedName{Namespace: o.Namespace, Name: o.Name}})
		}
	}
}

// uses reports whether an Ingress takes a certificate from a Secret.
func uses(o *networkingv1.Ingress, secret string) bool {
	for _, entry := range o.Spec.TLS {
		if entry.SecretName == secret {
			return true
		}
	}
	return false
}

// leadsTo reports whether an Ingress has a path to a Service.
func leadsTo(o *networkingv1.Ingress, service string) bool {
	for _, rule := range o.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, path := range rule.HTTP.Paths {
			if path.Backend.Service != nil && path.Backend.Service.Name == service {
				return true
			}
		}
	}
	return false
}
