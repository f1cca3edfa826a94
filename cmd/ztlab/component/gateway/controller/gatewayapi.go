package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/controller/frontend"
)

// The resources of the Gateway API, as far as the stand-in acts on them.
var (
	gatewayClassResource   = gatewayResource("gatewayclasses")
	gatewayObjectResource  = gatewayResource("gateways")
	httpRouteResource      = gatewayResource("httproutes")
	referenceGrantResource = gatewayResource("referencegrants")
)

func gatewayResource(name string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: gatewayv1.GroupName, Version: gatewayv1.GroupVersion.Version, Resource: name}
}

const (
	kindGatewayClass = "GatewayClass"
	kindGateway      = "Gateway"
	kindHTTPRoute    = "HTTPRoute"
	kindSecret       = "Secret"
	kindService      = "Service"
)

// A gatewayAPI holds the caches of the Gateway API.
type gatewayAPI struct {
	classes    cache.GenericLister
	gateways   cache.GenericLister
	routes     cache.GenericLister
	grants     cache.GenericLister
	namespaces corelisters.NamespaceLister
	configMaps corelisters.ConfigMapLister // nil without the right to watch them
}

// The chart creates the CRDs and the Deployment at once. A container image takes seconds to
// arrive and finds the resources served; the stand-in is there first, and waits for them.
const (
	servedRetry = 20 * time.Millisecond
	servedWait  = 5 * time.Second
)

// gatewayAPIServed reports whether the cluster serves the Gateway API. As upstream, a
// controller that does not find it at its start goes on without. While the API server does
// not answer, the controller is not ready and says why.
func (c *controller) gatewayAPIServed(ctx context.Context) bool {
	var answered time.Time
	said := ""
	for {
		list, err := c.typed.Discovery().ServerResourcesForGroupVersion(gatewayv1.GroupVersion.String())
		served := func(resource schema.GroupVersionResource) bool {
			return list != nil && slices.ContainsFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == resource.Resource })
		}
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			if why := fmt.Sprintf("the Gateway API: %v", err); why != said {
				said = why
				c.report(false, why)
			}
		case served(gatewayClassResource) && served(gatewayObjectResource) && served(httpRouteResource) && served(referenceGrantResource):
			return true
		case answered.IsZero():
			answered = time.Now()
		case time.Since(answered) > servedWait:
			c.Log.Info("the Gateway API is not served: going on without it")
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(servedRetry):
		}
	}
}

// watchGatewayAPI prepares the caches of the Gateway API; on adds the handler of an
// informer's events.
func (c *controller) watchGatewayAPI(ctx context.Context, from factories, on func(cache.SharedIndexInformer, func(types.NamespacedName, any))) {
	c.api = &gatewayAPI{
		classes:    from.custom.ForResource(gatewayClassResource).Lister(),
		gateways:   from.custom.ForResource(gatewayObjectResource).Lister(),
		routes:     from.custom.ForResource(httpRouteResource).Lister(),
		grants:     from.custom.ForResource(referenceGrantResource).Lister(),
		namespaces: from.typed.Core().V1().Namespaces().Lister(),
	}
	all := func(types.NamespacedName, any) { c.everyGateway() }
	on(from.custom.ForResource(gatewayClassResource).Informer(), func(name types.NamespacedName, _ any) {
		c.queue.Add(object{kindGatewayClass, name})
		c.everyGateway()
	})
	on(from.custom.ForResource(gatewayObjectResource).Informer(), func(name types.NamespacedName, _ any) {
		c.queue.Add(object{kindGateway, name})
		c.everyRoute()
	})
	on(from.custom.ForResource(httpRouteResource).Informer(), func(name types.NamespacedName, _ any) {
		c.queue.Add(object{kindHTTPRoute, name})
		c.everyGateway() // which count their routes
	})
	on(from.custom.ForResource(referenceGrantResource).Informer(), all)
	on(from.typed.Core().V1().Namespaces().Informer(), all)
	if frontend.Readable(ctx, c.typed) {
		c.api.configMaps = from.typed.Core().V1().ConfigMaps().Lister()
		on(from.typed.Core().V1().ConfigMaps().Informer(), func(name types.NamespacedName, _ any) {
			for _, o := range list[gatewayv1.Gateway](c.api.gateways) {
				if frontend.Uses(o, name) {
					c.queue.Add(object{kindGateway, named(o.Namespace, o.Name)})
				}
			}
		})
	}
}

// everyGateway looks at each Gateway and HTTPRoute again.
func (c *controller) everyGateway() {
	if c.api == nil {
		return
	}
	for _, o := range list[gatewayv1.Gateway](c.api.gateways) {
		c.queue.Add(object{kindGateway, named(o.Namespace, o.Name)})
	}
	c.everyRoute()
}

func (c *controller) everyRoute() {
	for _, o := range list[gatewayv1.HTTPRoute](c.api.routes) {
		c.queue.Add(object{kindHTTPRoute, named(o.Namespace, o.Name)})
	}
}

// gatewaySecretChanged queues the Gateways that take a certificate from a Secret.
func (c *controller) gatewaySecretChanged(secret types.NamespacedName) {
	if c.api == nil {
		return
	}
	for _, o := range list[gatewayv1.Gateway](c.api.gateways) {
		if slices.ContainsFunc(o.Spec.Listeners, func(l gatewayv1.Listener) bool { return takesFrom(o, l, secret) }) {
			c.queue.Add(object{kindGateway, named(o.Namespace, o.Name)})
		}
	}
}

// gatewayServiceChanged queues the HTTPRoutes that lead to a Service.
func (c *controller) gatewayServiceChanged(service types.NamespacedName) {
	if c.api == nil {
		return
	}
	for _, o := range list[gatewayv1.HTTPRoute](c.api.routes) {
		for _, rule := range o.Spec.Rules {
			for _, b := range rule.BackendRefs {
				if backendService(o, b) == service {
					c.queue.Add(object{kindHTTPRoute, named(o.Namespace, o.Name)})
				}
			}
		}
	}
}

// granted reports whether an object of the Gateway API may refer to another one: one of its
// namespace, or one for which a ReferenceGrant in that namespace allows it.
func (c *controller) granted(kind, namespace string, to gatewayv1.Kind, target types.NamespacedName) bool {
	if namespace == target.Namespace {
		return true
	}
	return slices.ContainsFunc(list[gatewayv1.ReferenceGrant](c.api.grants), func(g *gatewayv1.ReferenceGrant) bool {
		return g.Namespace == target.Namespace &&
			slices.Contains(g.Spec.From, gatewayv1.ReferenceGrantFrom{Group: gatewayv1.GroupName, Kind: gatewayv1.Kind(kind), Namespace: gatewayv1.Namespace(namespace)}) &&
			slices.ContainsFunc(g.Spec.To, func(t gatewayv1.ReferenceGrantTo) bool {
				return t.Group == "" && t.Kind == to && (t.Name == nil || string(*t.Name) == target.Name)
			})
	})
}

// controls reports whether a GatewayClass is ours.
func (c *controller) controls(class gatewayv1.ObjectName) bool {
	found, err := c.api.classes.Get(string(class))
	if err != nil {
		return false // a cache fails only if there is none
	}
	o, err := as[gatewayv1.GatewayClass](found)
	return err == nil && string(o.Spec.ControllerName) == c.ControllerName
}

// reconcileClass accepts a GatewayClass of ours.
func (c *controller) reconcileClass(ctx context.Context, key object) error {
	found, err := c.api.classes.Get(key.Name)
	if err != nil {
		return nil // deleted
	}
	o, err := as[gatewayv1.GatewayClass](found)
	if err != nil || string(o.Spec.ControllerName) != c.ControllerName {
		return err
	}
	want := o.DeepCopy().Status
	want.Conditions = conditions(want.Conditions, o.Generation, verdict{accepted, "", accepted, "the gatewayclass has been accepted by the apisix-ingress-controller"})
	return c.changeStatus(ctx, gatewayClassResource, key.NamespacedName, o.Status, want)
}
