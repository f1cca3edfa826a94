// Package controller is the lab's stand-in for the APISIX ingress controller:
// it watches the same objects as the real one, with the rights that its chart gives
// it, and writes certificates and routes to the Admin API of the gateways
// behind a GatewayProxy.
//
// It is modelled on the 2.x controller, its habits included: a status is
// Accepted before anything has been written, and also when the
// IngressClass leads to no GatewayProxy and nothing ever will be; an object
// whose IngressClass is not ours is passed over in silence; a Secret that is
// missing is InvalidSpec; writing is asynchronous, with a timer as fall-back;
// the controller is the only source of truth for certificates, so that those made
// by hand disappear, while routes without a service stay; two ApisixTls for one
// host are both accepted.
//
// Of the Gateway API it serves Gateways with listeners that end TLS, for clients with
// certificates too (spec.tls.frontend), HTTPRoutes with plain paths, and ReferenceGrants.
// Routes with more are not accepted.
//
// Differences: it writes to every gateway of the Admin API's Service, for each
// keeps its own store in the place of etcd; there is no leader election and no
// ADC process; plugins and upstream objects are not acted on. A Gateway's certificate of
// another namespace is not served without a ReferenceGrant, as the Gateway API has it:
// upstream serves it, and its status says the opposite.
package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// Options configure the controller.
type Options struct {
	Config
	// Kubernetes reaches the API server with the pod's own identity.
	Kubernetes *rest.Config
	// Dial reaches the gateways.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Bugs are shown in addition to those of a GatewayProxy.
	Bugs adminapi.Bugs
	// Log receives the controller's log.
	Log *slog.Logger
	// Listening is called once, with the loopback address of each container
	// port. Ready is called when the controller has seen the whole cluster, and
	// before that with the reason why it has not.
	Listening func(map[int]string)
	Ready     func(ready bool, why string)
}

// Run controls until ctx ends, and returns nil then.
func Run(ctx context.Context, options Options) error {
	typed, err := kubernetes.NewForConfig(options.Kubernetes)
	if err != nil {
		return err
	}
	untyped, err := dynamic.NewForConfig(options.Kubernetes)
	if err != nil {
		return err
	}
	c := newController(options, typed, untyped)
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	defer c.queue.ShutDown()

	failed := make(chan error, 1)
	if err := c.serve(ctx, &group, failed); err != nil {
		return err
	}
	if err := c.watch(ctx, !options.DisableGatewayAPI && c.gatewayAPIServed(ctx)); err != nil {
		return err
	}
	c.watched.Store(true)
	c.report(false, "the caches are being filled")
	for _, factory := range c.factories {
		factory.Start(ctx.Done())
	}
	group.Go(func() {
		if !cache.WaitForCacheSync(ctx.Done(), c.synced...) {
			return
		}
		c.first(ctx)
		c.report(true, "")
		group.Go(func() { c.syncLoop(ctx) })
		for c.next(ctx) {
		}
	})
	group.Go(func() {
		<-ctx.Done()
		c.queue.ShutDown()
	})
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// A controller holds the caches, the queue of objects to look at, and the objects
// to write to the gateways.
type controller struct {
	Options
	typed   kubernetes.Interface
	untyped dynamic.Interface

	factories []interface{ Start(<-chan struct{}) }
	synced    []cache.InformerSynced
	watched   atomic.Bool // caches and synced are made
	tls       cache.GenericLister
	routes    cache.GenericLister
	proxies   cache.GenericLister
	classes   networkinglisters.IngressClassLister
	ingresses networkinglisters.IngressLister
	secrets   corelisters.SecretLister
	services  corelisters.ServiceLister
	endpoints discoverylisters.EndpointSliceLister
	api       *gatewayAPI // nil if the Gateway API is not served, or switched off

	queue workqueue.TypedRateLimitingInterface[object]
	wake  chan struct{} // holds one token when a sync is due
	http  *http.Client

	mu      sync.Mutex
	ready   bool
	wanted  map[object]wanted               // by the object that asks
	due     map[types.NamespacedName]bool   // GatewayProxies to write to
	refused map[types.NamespacedName]string // why writing to one failed last
}

// An object is a key of the queue.
type object struct {
	kind string
	types.NamespacedName
}

// wanted are the gateway objects that one object asks for.
type wanted struct {
	proxy      types.NamespacedName
	generation int64 // of the object
	ssls       []adminapi.SSL
	routes     []adminapi.Route
}

func newController(options Options, typed kubernetes.Interface, untyped dynamic.Interface) *controller {
	return &controller{
		Options: options,
		typed:   typed,
		untyped: untyped,
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[object](50*time.Millisecond, 30*time.Second)),
		wake:    make(chan struct{}, 1),
		http:    &http.Client{Transport: &http.Transport{DialContext: options.Dial, IdleConnTimeout: 30 * time.Second}},
		wanted:  map[object]wanted{},
		due:     map[types.NamespacedName]bool{},
		refused: map[types.NamespacedName]string{},
	}
}

// factories make the caches of Kubernetes' own types and of the others.
type factories struct {
	typed  informers.SharedInformerFactory
	custom dynamicinformer.DynamicSharedInformerFactory
}

// watch prepares the caches and the handlers of their events.
func (c *controller) watch(ctx context.Context, gatewayAPI bool) error {
	factory := informers.NewSharedInformerFactory(c.typed, 0)
	custom := dynamicinformer.NewDynamicSharedInformerFactory(c.untyped, 0)
	c.factories = append(c.factories, factory, custom)
	c.classes = factory.Networking().V1().IngressClasses().Lister()
	c.ingresses = factory.Networking().V1().Ingresses().Lister()
	c.secrets = factory.Core().V1().Secrets().Lister()
	c.services = factory.Core().V1().Services().Lister()
	c.endpoints = factory.Discovery().V1().EndpointSlices().Lister()
	c.tls = custom.ForResource(tlsResource).Lister()
	c.routes = custom.ForResource(routeResource).Lister()
	c.proxies = custom.ForResource(proxyResource).Lister()

	var failed error
	on := func(informer cache.SharedIndexInformer, follow func(name types.NamespacedName, event any)) {
		handle := func(event any) {
			if gone, ok := event.(cache.DeletedFinalStateUnknown); ok {
				event = gone.Obj
			}
			key, err := cache.ObjectToName(event)
			if err != nil {
				return // not an object of the API
			}
			follow(types.NamespacedName{Namespace: key.Namespace, Name: key.Name}, event)
		}
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    handle,
			UpdateFunc: func(_, now any) { handle(now) },
			DeleteFunc: handle,
		})
		failed = errors.Join(failed, err, informer.SetWatchErrorHandlerWithContext(c.watchFailed))
		c.synced = append(c.synced, informer.HasSynced)
	}
	own := func(kind string) func(types.NamespacedName, any) {
		return func(name types.NamespacedName, _ any) { c.queue.Add(object{kind, name}) }
	}
	on(custom.ForResource(tlsResource).Informer(), own(kindTLS))
	on(custom.ForResource(routeResource).Informer(), own(kindRoute))
	on(factory.Networking().V1().Ingresses().Informer(), own(kindIngress))
	on(custom.ForResource(proxyResource).Informer(), func(name types.NamespacedName, _ any) {
		c.everything()
		c.schedule(name)
	})
	on(factory.Networking().V1().IngressClasses().Informer(), func(_ types.NamespacedName, event any) {
		c.everything()
		if class, ok := event.(*networkingv1.IngressClass); ok {
			if proxy, leads := parameters(class); leads {
				c.schedule(proxy)
			}
		}
	})
	on(factory.Core().V1().Secrets().Informer(), func(name types.NamespacedName, _ any) { c.secretChanged(name) })
	on(factory.Core().V1().Services().Informer(), func(name types.NamespacedName, _ any) { c.serviceChanged(name) })
	on(factory.Discovery().V1().EndpointSlices().Informer(), func(name types.NamespacedName, event any) {
		if slice, ok := event.(*discoveryv1.EndpointSlice); ok {
			name.Name = slice.Labels[discoveryv1.LabelServiceName]
			c.serviceChanged(name)
		}
	})
	if gatewayAPI {
		c.watchGatewayAPI(ctx, factories{factory, custom}, on)
	}
	return failed
}

// watchFailed handles watches that fail, because a CRD or a right is missing or the API
// server is away. Until the controller is ready, that is the reason why it is not.
func (c *controller) watchFailed(ctx context.Context, r *cache.Reflector, err error) {
	if ctx.Err() != nil {
		return
	}
	c.Log.Warn("watch failed", "of", r.TypeDescription(), "error", err)
	c.report(false, fmt.Sprintf("watch of %s: %v", r.TypeDescription(), err))
}

// report reports readiness. Once ready, the controller stays it.
func (c *controller) report(ready bool, why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ready {
		return
	}
	c.ready = ready
	c.Ready(ready, why)
}

// first looks at every object once before anything is written: a gateway would
// lose the others.
func (c *controller) first(ctx context.Context) {
	look := func(key object) {
		if err := c.reconcile(ctx, key); err != nil {
			c.queue.AddRateLimited(key)
		}
	}
	for _, o := range list[apisixTLS](c.tls) {
		look(object{kindTLS, named(o.Namespace, o.Name)})
	}
	for _, o := range list[apisixRoute](c.routes) {
		look(object{kindRoute, named(o.Namespace, o.Name)})
	}
	all, _ := c.ingresses.List(labels.Everything()) // a cache does not fail
	for _, o := range all {
		look(object{kindIngress, named(o.Namespace, o.Name)})
	}
	if c.api == nil {
		return
	}
	for _, o := range list[gatewayv1.Gateway](c.api.gateways) {
		look(object{kindGateway, named(o.Namespace, o.Name)})
	}
	for _, o := range list[gatewayv1.HTTPRoute](c.api.routes) {
		look(object{kindHTTPRoute, named(o.Namespace, o.Name)})
	}
}

// next takes one object from the queue; false when there will be none.
func (c *controller) next(ctx context.Context) bool {
	key, quit := c.queue.Get()
	if quit {
		return false
	}
	defer c.queue.Done(key)
	if err := c.reconcile(ctx, key); err != nil {
		if ctx.Err() == nil {
			c.Log.Error("object will be looked at again", "kind", key.kind, "object", key.String(), "error", err)
		}
		c.queue.AddRateLimited(key)
		return true
	}
	c.queue.Forget(key)
	return true
}

// String names the object as kubectl does.
func (o object) String() string { return fmt.Sprintf("%s/%s", o.Namespace, o.Name) }
