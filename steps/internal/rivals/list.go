package rivals

import (
	"context"
	"slices"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hosting"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

var (
	tlsResource     = schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: "apisixtlses"}
	classResource   = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses"}
	ingressResource = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
	gatewayResource = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
)

// Permissions are those that [Find] uses and does not need.
func Permissions() []engine.Permission {
	var all []engine.Permission
	for _, r := range []schema.GroupVersionResource{tlsResource, classResource, ingressResource, gatewayResource} {
		all = append(all, engine.Permission{Verbs: []string{"list"}, Group: r.Group, Resource: r.Resource, Reason: "finds other objects that give the host another Secret"})
	}
	return all
}

// limit bounds list: it must not keep a measurement that is over from its verdict.
const limit = 10 * time.Second

// list lists the objects of all namespaces; see [Find]. host is for the text of a warning.
func list(ctx context.Context, client dynamic.Interface, env *engine.Env, host string) []*object {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	l := lister{ctx: limited, over: ctx, client: client, env: env, host: host}
	all := classesOf(l.read("IngressClass", classResource))
	return slices.Concat(
		l.objects(kindApisixTLS, tlsResource, all),
		l.objects(kindIngress, ingressResource, all),
		l.objects(kindGateway, gatewayResource, all),
	)
}

type lister struct {
	ctx, over context.Context
	client    dynamic.Interface
	env       *engine.Env
	host      string
}

func (l lister) read(kind string, resource schema.GroupVersionResource) []unstructured.Unstructured {
	list, err := l.client.Resource(resource).List(l.ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), l.over.Err() != nil:
		return nil
	case err != nil:
		l.env.Warnf("whether another %s names %s is not known: %v", kind, l.host, kubekit.Classify(err))
		return nil
	}
	return list.Items
}

// objects returns the certificates of the objects of a kind, without those that no
// controller can have taken.
func (l lister) objects(kind string, resource schema.GroupVersionResource, all classes) []*object {
	var out []*object
	for _, item := range l.read(kind, resource) {
		manifest := hosting.Object{Kind: kind, Namespace: item.GetNamespace(), Name: item.GetName(), Fields: item.Object}
		for _, c := range manifest.Certificates() {
			by, taken := all.of(manifest, c.Gateway)
			if !taken {
				continue
			}
			namespace, name, _ := strings.Cut(c.Secret, "/")
			out = append(out, &object{
				Kind: kind, Namespace: manifest.Namespace, Name: manifest.Name, Listener: c.Listener,
				Hosts: c.Hosts, Secret: certwatch.Ref{Namespace: namespace, Name: name},
				Gateway: by, Restless: by.Kind == hosting.KindProxy || kind == kindApisixTLS,
			})
		}
	}
	return out
}

// classes are the gateways behind the IngressClasses, by name; that of "" is the default.
type classes map[string]hosting.Gateway

func classesOf(list []unstructured.Unstructured) classes {
	all := make(classes)
	for _, item := range list {
		var c networkingv1.IngressClass
		if runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &c) != nil {
			continue
		}
		gateway := hosting.Gateway{Kind: hosting.KindClass, Name: c.Name}
		if p := c.Spec.Parameters; p != nil && p.Kind == hosting.KindProxy && p.Namespace != nil {
			gateway = hosting.Gateway{Kind: hosting.KindProxy, Name: *p.Namespace + "/" + p.Name}
		}
		all[c.Name] = gateway
		if c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			all[""] = gateway
		}
	}
	return all
}

// of returns the gateway behind the one that a certificate names, which may be a class.
// taken is false if no controller can have taken the object: one without a class belongs
// to the default class, and an ApisixTls has no condition if there is none.
func (all classes) of(manifest hosting.Object, gateway hosting.Gateway) (by hosting.Gateway, taken bool) {
	if gateway.Kind != hosting.KindClass {
		return gateway, true
	}
	by, ok := all[gateway.Name]
	switch {
	case gateway.Name == "" && manifest.Kind == kindApisixTLS:
		conditions, _ := hosting.Dig(manifest.Fields, "status", "conditions").([]any)
		return by, len(conditions) > 0
	case gateway.Name == "":
		return by, ok
	case !ok:
		by = gateway
	}
	return by, true
}
