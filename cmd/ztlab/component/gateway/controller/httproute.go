package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// reconcileHTTPRoute keeps the gateway objects that an HTTPRoute asks for, and writes its
// status for each Gateway of ours that it names. The gateways of one GatewayProxy serve
// it: that of the first Gateway that takes it.
func (c *controller) reconcileHTTPRoute(ctx context.Context, key object) error {
	o, err := get[gatewayv1.HTTPRoute](c.api.routes, key.NamespacedName)
	if err != nil {
		return err
	}
	if o == nil {
		c.forget(key)
		return nil
	}
	routes, resolved, err := c.translateHTTPRoute(o)
	if err != nil {
		return err
	}
	want := wanted{generation: o.Generation}
	now := o.DeepCopy().Status
	now.Parents = slices.DeleteFunc(now.Parents, func(p gatewayv1.RouteParentStatus) bool { return string(p.ControllerName) == c.ControllerName })
	for _, ref := range o.Spec.ParentRefs {
		gateway, err := get[gatewayv1.Gateway](c.api.gateways, parentOf(o, ref))
		if err != nil {
			return err
		}
		if gateway == nil || !c.controls(gateway.Spec.GatewayClassName) {
			continue
		}
		hosts, taken := c.attach(o, ref, gateway)
		status := gatewayv1.RouteParentStatus{ParentRef: ref, ControllerName: gatewayv1.GatewayController(c.ControllerName)}
		if have := slices.IndexFunc(o.Status.Parents, func(p gatewayv1.RouteParentStatus) bool {
			return string(p.ControllerName) == c.ControllerName && equalParents(p.ParentRef, ref)
		}); have >= 0 {
			status.Conditions = o.Status.Parents[have].Conditions
		}
		status.Conditions = conditions(status.Conditions, o.Generation, taken, resolved)
		now.Parents = append(now.Parents, status)
		proxy, leads := infrastructure(gateway)
		if !taken.ok() || !leads || want.proxy != (types.NamespacedName{}) && want.proxy != proxy {
			continue
		}
		want.proxy = proxy
		for _, r := range routes {
			r.ID, r.Hosts = identity(r.ID, fmt.Sprint(len(now.Parents))), hosts
			want.routes = append(want.routes, r)
		}
	}
	err = c.changeStatus(ctx, httpRouteResource, key.NamespacedName, o.Status, now)
	if want.proxy == (types.NamespacedName{}) {
		c.forget(key)
		return err
	}
	c.want(key, want)
	return err
}

// parentOf is the Gateway that a route names.
func parentOf(o *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference) types.NamespacedName {
	if ref.Group != nil && *ref.Group != gatewayv1.GroupName || ref.Kind != nil && *ref.Kind != kindGateway {
		return types.NamespacedName{}
	}
	if ref.Namespace != nil {
		return named(string(*ref.Namespace), string(ref.Name))
	}
	return named(o.Namespace, string(ref.Name))
}

// equalParents compares references by their values, not by their pointers.
func equalParents(a, b gatewayv1.ParentReference) bool {
	text := func(r gatewayv1.ParentReference) string {
		return fmt.Sprint(deref(r.Group), deref(r.Kind), deref(r.Namespace), r.Name, deref(r.SectionName), deref(r.Port))
	}
	return text(a) == text(b)
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// attach returns the hosts under which a Gateway serves a route, none for all; it is refused
// unless a listener takes it.
func (c *controller) attach(o *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference, gateway *gatewayv1.Gateway) ([]string, verdict) {
	refused := verdict{kind: accepted, bad: string(gatewayv1.RouteReasonNoMatchingParent), message: "no listener of the gateway matches"}
	if why := unsupported(o); why != "" {
		return nil, verdict{kind: accepted, bad: string(gatewayv1.RouteReasonUnsupportedValue), message: why}
	}
	var hosts []string
	taken := false
	for _, l := range gateway.Spec.Listeners {
		v := c.attached(o, ref, gateway, l)
		if !v.ok() {
			if v.bad != string(gatewayv1.RouteReasonNoMatchingParent) && refused.bad != string(gatewayv1.RouteReasonNotAllowedByListeners) {
				refused = v
			}
			continue
		}
		names, _ := intersect(deref(l.Hostname), o.Spec.Hostnames)
		if len(names) == 0 {
			return nil, v // for all hosts
		}
		taken, hosts = true, append(hosts, names...)
	}
	if !taken {
		return nil, refused
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), verdict{kind: accepted, good: accepted, message: "Route is accepted"}
}

// attached reports whether a listener takes a route: it must be meant, must let routes of
// that namespace in, and must have a host in common with it.
func (c *controller) attached(o *gatewayv1.HTTPRoute, ref gatewayv1.ParentReference, gateway *gatewayv1.Gateway, l gatewayv1.Listener) verdict {
	v := verdict{kind: accepted, good: accepted, message: "Route is accepted"}
	_, common := intersect(deref(l.Hostname), o.Spec.Hostnames)
	switch {
	case ref.SectionName != nil && *ref.SectionName != l.Name, ref.Port != nil && *ref.Port != l.Port,
		l.Protocol != gatewayv1.HTTPProtocolType && l.Protocol != gatewayv1.HTTPSProtocolType:
		v.bad, v.message = string(gatewayv1.RouteReasonNoMatchingParent), "no listener of the gateway matches"
	case !common:
		v.bad, v.message = string(gatewayv1.RouteReasonNoMatchingListenerHostname), "no hostname in common with the listener"
	case !c.lets(l, gateway.Namespace, o.Namespace):
		v.bad, v.message = string(gatewayv1.RouteReasonNotAllowedByListeners), "listener does not allow routes from namespace "+o.Namespace
	}
	return v
}

// lets reports whether a listener takes routes from a namespace.
func (c *controller) lets(l gatewayv1.Listener, own, namespace string) bool {
	from := gatewayv1.NamespacesFromSame
	allowed := l.AllowedRoutes
	if allowed != nil && allowed.Namespaces != nil && allowed.Namespaces.From != nil {
		from = *allowed.Namespaces.From
	}
	switch from {
	case gatewayv1.NamespacesFromAll:
		return true
	case gatewayv1.NamespacesFromSame:
		return own == namespace
	case gatewayv1.NamespacesFromSelector:
		selector, err := metav1.LabelSelectorAsSelector(allowed.Namespaces.Selector)
		if err != nil {
			return false
		}
		found, err := c.api.namespaces.Get(namespace)
		return err == nil && selector.Matches(labels.Set(found.Labels))
	}
	return false
}

// intersect returns the hosts that a listener and a route have in common; of a wildcard and
// a name in it, the name. No names are all names.
func intersect(listener gatewayv1.Hostname, route []gatewayv1.Hostname) (hosts []string, ok bool) {
	if len(route) == 0 {
		if listener != "" {
			hosts = append(hosts, string(listener))
		}
		return hosts, true
	}
	for _, name := range route {
		switch a, b := string(listener), string(name); {
		case a == "", a == b, within(b, a):
			hosts = append(hosts, b)
		case within(a, b):
			hosts = append(hosts, a)
		}
	}
	return hosts, len(hosts) > 0
}

// within reports whether a name is one that a wildcard stands for.
func within(name, wildcard string) bool {
	tail, wild := strings.CutPrefix(wildcard, "*")
	return wild && strings.HasSuffix(name, tail) && len(name) > len(tail)
}

// unsupported names the part of a route that the stand-in cannot serve, "" if there is none.
func unsupported(o *gatewayv1.HTTPRoute) string {
	for i, rule := range o.Spec.Rules {
		if len(rule.Filters) > 0 {
			return fmt.Sprintf("rules[%d].filters: the lab's stand-in has none", i)
		}
		for _, m := range rule.Matches {
			if len(m.Headers) > 0 || len(m.QueryParams) > 0 || m.Path != nil && m.Path.Type != nil && *m.Path.Type == gatewayv1.PathMatchRegularExpression {
				return fmt.Sprintf("rules[%d].matches: the lab's stand-in knows methods and plain paths only", i)
			}
		}
	}
	return ""
}

// translateHTTPRoute makes a route object of each match, without hosts. A backend that
// cannot be used is left out, and the verdict names it.
func (c *controller) translateHTTPRoute(o *gatewayv1.HTTPRoute) ([]adminapi.Route, verdict, error) {
	resolved := verdict{kind: string(gatewayv1.RouteConditionResolvedRefs), good: string(gatewayv1.RouteReasonResolvedRefs), message: "ResolvedRefs"}
	var routes []adminapi.Route
	for i, rule := range o.Spec.Rules {
		upstream := &adminapi.Upstream{Type: "roundrobin", Nodes: []adminapi.Node{}}
		for _, b := range rule.BackendRefs {
			service := backendService(o, b)
			switch _, err := c.services.Services(service.Namespace).Get(service.Name); {
			case b.Group != nil && *b.Group != "" || b.Kind != nil && *b.Kind != kindService || b.Port == nil:
				resolved.bad, resolved.message = string(gatewayv1.RouteReasonInvalidKind), fmt.Sprintf("backend %s is not a port of a Service", service)
			case !c.granted(kindHTTPRoute, o.Namespace, kindService, service):
				resolved.bad, resolved.message = string(gatewayv1.RouteReasonRefNotPermitted), fmt.Sprintf("backend %s is not permitted by any ReferenceGrant", service)
			case err != nil:
				resolved.bad, resolved.message = string(gatewayv1.RouteReasonBackendNotFound), fmt.Sprintf("Service %s not found", service)
			default:
				weight := int(deref(b.Weight))
				nodes, err := c.nodes(service.Namespace, backend{ServiceName: service.Name, ServicePort: intstr.FromInt32(int32(*b.Port)), Weight: &weight})
				if err != nil {
					return nil, resolved, err
				}
				upstream.Nodes = append(upstream.Nodes, nodes...)
			}
		}
		matches := rule.Matches
		if len(matches) == 0 {
			matches = []gatewayv1.HTTPRouteMatch{{}}
		}
		for j, m := range matches {
			name := fmt.Sprintf("%d-%d", i, j)
			routes = append(routes, adminapi.Route{
				ID: identity(kindHTTPRoute, o.Namespace, o.Name, name), Name: fmt.Sprintf("%s_%s_%s", o.Namespace, o.Name, name),
				URIs: matchPaths(m), Methods: matchMethods(m), Upstream: upstream, Labels: c.labels(kindHTTPRoute, o.ObjectMeta),
			})
		}
	}
	return routes, resolved, nil
}

// backendService is the Service that a backend names.
func backendService(o *gatewayv1.HTTPRoute, b gatewayv1.HTTPBackendRef) types.NamespacedName {
	if b.Namespace != nil {
		return named(string(*b.Namespace), string(b.Name))
	}
	return named(o.Namespace, string(b.Name))
}

// matchPaths are the paths of APISIX that stand for a match.
func matchPaths(m gatewayv1.HTTPRouteMatch) []string {
	if m.Path == nil || m.Path.Value == nil {
		return pathsBelow("/")
	}
	if m.Path.Type != nil && *m.Path.Type == gatewayv1.PathMatchExact {
		return []string{*m.Path.Value}
	}
	return pathsBelow(*m.Path.Value)
}

func matchMethods(m gatewayv1.HTTPRouteMatch) []string {
	if m.Method == nil {
		return nil
	}
	return []string{string(*m.Method)}
}
