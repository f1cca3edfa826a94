package controller

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// list reads all objects of a cache. An object that does not fit T is left out: its
// CRD is another project's.
func list[T any](lister cache.GenericLister) []*T {
	objects, err := lister.List(labels.Everything())
	if err != nil {
		return nil
	}
	typed := make([]*T, 0, len(objects))
	for _, object := range objects {
		if o, err := as[T](object); err == nil {
			typed = append(typed, o)
		}
	}
	return typed
}

// get reads one object of a cache; nil when there is none.
func get[T any](lister cache.GenericLister, name types.NamespacedName) (*T, error) {
	found, err := lister.ByNamespace(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return as[T](found)
}

// class finds the IngressClass of that name, or the default one for "". nil
// when there is none, or it is another controller's.
func (c *controller) class(name string) (*networkingv1.IngressClass, error) {
	if name != "" {
		found, err := c.classes.Get(name)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil || found.Spec.Controller != c.ControllerName {
			return nil, err
		}
		return found, nil
	}
	all, err := c.classes.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	for _, class := range all {
		if class.Spec.Controller == c.ControllerName && class.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			return class, nil
		}
	}
	return nil, nil
}

// parameters is the GatewayProxy that an IngressClass names.
func parameters(class *networkingv1.IngressClass) (types.NamespacedName, bool) {
	p := class.Spec.Parameters
	if p == nil || p.APIGroup == nil || *p.APIGroup != proxyResource.Group || p.Kind != kindProxy || p.Namespace == nil {
		return types.NamespacedName{}, false
	}
	return named(*p.Namespace, p.Name), true
}

// proxy finds a GatewayProxy; a missing one is an error.
func (c *controller) proxy(name types.NamespacedName) (*gatewayProxy, error) {
	found, err := get[gatewayProxy](c.proxies, name)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("gateway proxy %s not found", name)
	}
	return found, nil
}

// ours reports whether an IngressClass or a Gateway of ours leads to a GatewayProxy.
// Another controller's gateways are not written to.
func (c *controller) ours(proxy types.NamespacedName) (bool, error) {
	if c.api != nil && slices.ContainsFunc(list[gatewayv1.Gateway](c.api.gateways), func(o *gatewayv1.Gateway) bool {
		name, leads := infrastructure(o)
		return leads && name == proxy && c.controls(o.Spec.GatewayClassName)
	}) {
		return true, nil
	}
	all, err := c.classes.List(labels.Everything())
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(class *networkingv1.IngressClass) bool {
		name, leads := parameters(class)
		return leads && name == proxy && class.Spec.Controller == c.ControllerName
	}), nil
}
