package controller

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// everything looks at each object again: an IngressClass or a GatewayProxy has
// changed, and with it which objects are ours and where they go.
func (c *controller) everything() {
	for _, o := range list[apisixTLS](c.tls) {
		c.queue.Add(object{kindTLS, named(o.Namespace, o.Name)})
	}
	for _, o := range list[apisixRoute](c.routes) {
		c.queue.Add(object{kindRoute, named(o.Namespace, o.Name)})
	}
	c.ingressesWhere(metav1.NamespaceAll, func(*networkingv1.Ingress) bool { return true })
	c.everyGateway()
}

// secretChanged queues the objects that a Secret is part of. With the bug of the
// release candidates those that use it go on with the old one.
func (c *controller) secretChanged(secret types.NamespacedName) {
	for _, o := range list[apisixTLS](c.tls) {
		uses := o.Spec.Secret.key() == secret || o.Spec.Client != nil && o.Spec.Client.CASecret.key() == secret
		if !uses {
			continue
		}
		if c.bugsOf(o.Spec.IngressClassName).Has(adminapi.SecretNeverPushed) {
			c.Log.Warn("changed Secret is not followed", "secret", secret.String(), "apisixtls", o.Namespace+"/"+o.Name, "bug", adminapi.SecretNeverPushed)
			continue
		}
		c.queue.Add(object{kindTLS, named(o.Namespace, o.Name)})
	}
	c.ingressesWhere(secret.Namespace, func(o *networkingv1.Ingress) bool { return uses(o, secret.Name) })
	c.gatewaySecretChanged(secret)
	for _, o := range list[gatewayProxy](c.proxies) {
		if ref := keyReference(o); ref != nil && named(o.Namespace, *ref) == secret {
			c.schedule(named(o.Namespace, o.Name))
		}
	}
}

// serviceChanged looks again at the routes to a Service, and writes to the
// gateways again when it is the Service of their Admin API.
func (c *controller) serviceChanged(service types.NamespacedName) {
	for _, o := range list[apisixRoute](c.routes) {
		if o.Namespace != service.Namespace {
			continue
		}
		for _, rule := range o.Spec.HTTP {
			for _, backend := range rule.Backends {
				if backend.ServiceName == service.Name {
					c.queue.Add(object{kindRoute, named(o.Namespace, o.Name)})
				}
			}
		}
	}
	c.ingressesWhere(service.Namespace, func(o *networkingv1.Ingress) bool { return leadsTo(o, service.Name) })
	c.gatewayServiceChanged(service)
	for _, o := range list[gatewayProxy](c.proxies) {
		plane := o.Spec.Provider.ControlPlane
		if o.Namespace == service.Namespace && plane != nil && plane.Service != nil && plane.Service.Name == service.Name {
			c.schedule(named(o.Namespace, o.Name))
		}
	}
}

// keyReference is the name of the Secret that holds a GatewayProxy's admin key.
func keyReference(proxy *gatewayProxy) *string {
	plane := proxy.Spec.Provider.ControlPlane
	if plane == nil || plane.Auth.AdminKey == nil || plane.Auth.AdminKey.ValueFrom == nil || plane.Auth.AdminKey.ValueFrom.SecretKeyRef == nil {
		return nil
	}
	return &plane.Auth.AdminKey.ValueFrom.SecretKeyRef.Name
}

// bugsOf are the bugs to show for objects of an IngressClass.
func (c *controller) bugsOf(class string) adminapi.Bugs {
	found, err := c.class(class)
	if err != nil || found == nil {
		return c.Bugs
	}
	name, ok := parameters(found)
	if !ok {
		return c.Bugs
	}
	return c.bugsBehind(name)
}

// bugsBehind are the bugs to show for objects that go to a GatewayProxy.
func (c *controller) bugsBehind(name types.NamespacedName) adminapi.Bugs {
	proxy, err := c.proxy(name)
	if err != nil {
		return c.Bugs
	}
	return c.bugs(proxy)
}

// bugs are the bugs that a GatewayProxy's annotation names, and those of the
// controller's own version.
func (c *controller) bugs(proxy *gatewayProxy) adminapi.Bugs {
	bugs, err := adminapi.ParseBugs(proxy.Annotations[adminapi.BugsAnnotation])
	if err != nil {
		c.Log.Error("annotation has no effect", "gatewayproxy", proxy.Namespace+"/"+proxy.Name, "annotation", adminapi.BugsAnnotation, "error", err)
	}
	if c.Bugs.Has(adminapi.SecretNeverPushed) {
		bugs = bugs.With(adminapi.SecretNeverPushed)
	}
	return bugs
}

func named(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}
