package hosting

import (
	"cmp"
	"context"
	"fmt"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

var (
	tlsResource     = schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: "apisixtlses"}
	classResource   = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses"}
	ingressResource = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
	gatewayResource = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
)

// Permissions are what [Find] makes use of and does not need.
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
	classes := classesOf(read[networkingv1.IngressClass](l, "IngressClass", classResource))
	var all []*object
	for _, o := range read[apisixTLS](l, kindApisixTLS, tlsResource) {
		all = append(all, o.objects(classes)...)
	}
	for _, o := range read[networkingv1.Ingress](l, kindIngress, ingressResource) {
		all = append(all, ingressObjects(o, classes)...)
	}
	for _, o := range read[gateway](l, kindGateway, gatewayResource) {
		all = append(all, o.objects()...)
	}
	return all
}

type lister struct {
	ctx, over context.Context
	client    dynamic.Interface
	env       *engine.Env
	host      string
}

func read[T any](l lister, kind string, resource schema.GroupVersionResource) []*T {
	list, err := l.client.Resource(resource).List(l.ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), l.over.Err() != nil:
		return nil
	case err != nil:
		l.env.Warnf("whether another %s names %s is not known: %v", kind, l.host, kubekit.Classify(err))
		return nil
	}
	var all []*T
	for i := range list.Items {
		o := new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, o); err == nil {
			all = append(all, o)
		}
	}
	return all
}

// classes are the gateways behind the IngressClasses, by name; that of "" is the default.
type classes map[string]served

// served is a gateway; of APISIX a GatewayProxy stands for it.
type served struct {
	gateway string
	apisix  bool
}

func classesOf(list []*networkingv1.IngressClass) classes {
	all := make(classes)
	for _, c := range list {
		s := served{gateway: "class " + c.Name}
		if p := c.Spec.Parameters; p != nil && p.Kind == "GatewayProxy" && p.Namespace != nil {
			s = served{gateway: proxy(*p.Namespace, p.Name), apisix: true}
		}
		all[c.Name] = s
		if c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			all[""] = s
		}
	}
	return all
}

func proxy(namespace, name string) string { return fmt.Sprintf("GatewayProxy %s/%s", namespace, name) }

// apisixTLS is the part of an apisix.apache.org/v2 ApisixTls that matters here.
type apisixTLS struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		IngressClassName string   `json:"ingressClassName"`
		Hosts            []string `json:"hosts"`
		Secret           struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"secret"`
	} `json:"spec"`
	Status struct {
		Conditions certwatch.Conditions `json:"conditions"`
	} `json:"status"`
}

// objects returns none for an object that no controller can have taken: one without a class
// belongs to the default class, and has no condition if there is none.
func (o *apisixTLS) objects(all classes) []*object {
	class := o.Spec.IngressClassName
	if class == "" && len(o.Status.Conditions) == 0 {
		return nil
	}
	by, ok := all[class]
	if !ok && class != "" {
		by.gateway = "class " + class
	}
	return []*object{{
		Kind: kindApisixTLS, Namespace: o.Metadata.Namespace, Name: o.Metadata.Name,
		Hosts: o.Spec.Hosts, Secret: certwatch.Ref(o.Spec.Secret), Gateway: by.gateway, Restless: true,
	}}
}

// ingressObjects returns the entries of an Ingress that name a Secret. Without hosts an
// entry is for those of the rules.
func ingressObjects(o *networkingv1.Ingress, all classes) []*object {
	class := o.Annotations["kubernetes.io/ingress.class"] // before there was a field
	if o.Spec.IngressClassName != nil {
		class = *o.Spec.IngressClassName
	}
	by, ok := all[class]
	switch {
	case !ok && class == "":
		return nil // no controller has taken it
	case !ok:
		by.gateway = "class " + class
	}
	var out []*object
	for _, entry := range o.Spec.TLS {
		if entry.SecretName == "" {
			continue // the certificate of the controller
		}
		hosts := entry.Hosts
		for _, rule := range o.Spec.Rules {
			if len(entry.Hosts) == 0 && rule.Host != "" {
				hosts = append(hosts, rule.Host)
			}
		}
		out = append(out, &object{
			Kind: kindIngress, Namespace: o.Namespace, Name: o.Name,
			Hosts: hosts, Secret: certwatch.Ref{Namespace: o.Namespace, Name: entry.SecretName}, Gateway: by.gateway, Restless: by.apisix,
		})
	}
	return out
}

// gateway is the part of a gateway.networking.k8s.io/v1 Gateway that matters here.
type gateway struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Infrastructure struct {
			ParametersRef struct {
				Kind string `json:"kind"`
				Name string `json:"name"`
			} `json:"parametersRef"`
		} `json:"infrastructure"`
		Listeners []struct {
			Name     string `json:"name"`
			Hostname string `json:"hostname"`
			Port     int    `json:"port"`
			TLS      struct {
				Mode            string `json:"mode"`
				CertificateRefs []struct {
					Kind      string `json:"kind"`
					Namespace string `json:"namespace"`
					Name      string `json:"name"`
				} `json:"certificateRefs"`
			} `json:"tls"`
		} `json:"listeners"`
	} `json:"spec"`
}

// objects returns the certificates of the listeners that end TLS. Listeners of different
// ports do not compete, but with APISIX, which chooses by the host alone.
func (o *gateway) objects() []*object {
	var out []*object
	for _, l := range o.Spec.Listeners {
		if l.TLS.Mode == "Passthrough" {
			continue
		}
		by := served{gateway: fmt.Sprintf("Gateway %s/%s port %d", o.Metadata.Namespace, o.Metadata.Name, l.Port)}
		if ref := o.Spec.Infrastructure.ParametersRef; ref.Kind == "GatewayProxy" {
			by = served{gateway: proxy(o.Metadata.Namespace, ref.Name), apisix: true}
		}
		var hosts []string
		if l.Hostname != "" {
			hosts = []string{l.Hostname}
		}
		for _, ref := range l.TLS.CertificateRefs {
			if ref.Kind != "" && ref.Kind != "Secret" {
				continue
			}
			out = append(out, &object{
				Kind: kindGateway, Namespace: o.Metadata.Namespace, Name: o.Metadata.Name, Listener: l.Name,
				Hosts: hosts, Secret: certwatch.Ref{Namespace: cmp.Or(ref.Namespace, o.Metadata.Namespace), Name: ref.Name}, Gateway: by.gateway, Restless: by.apisix,
			})
		}
	}
	return out
}
