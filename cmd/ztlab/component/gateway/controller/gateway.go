package controller

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/controller/frontend"
)

// infrastructure returns the GatewayProxy that a Gateway leads to, which is in its
// namespace.
func infrastructure(o *gatewayv1.Gateway) (types.NamespacedName, bool) {
	if o.Spec.Infrastructure == nil || o.Spec.Infrastructure.ParametersRef == nil {
		return types.NamespacedName{}, false
	}
	ref := o.Spec.Infrastructure.ParametersRef
	return named(o.Namespace, ref.Name), string(ref.Group) == proxyResource.Group && ref.Kind == kindProxy
}

// reconcileGateway keeps the certificates that the listeners of a Gateway ask for, and
// writes its status. As upstream, the status is Programmed before anything has been written
// to a gateway; a listener whose Secret cannot be used is not, and the others are served.
func (c *controller) reconcileGateway(ctx context.Context, key object) error {
	o, err := get[gatewayv1.Gateway](c.api.gateways, key.NamespacedName)
	if err != nil {
		return err
	}
	if o == nil || !c.controls(o.Spec.GatewayClassName) {
		c.forget(key)
		return nil
	}
	taken := verdict{kind: accepted, good: accepted, message: "the gateway has been accepted by the apisix-ingress-controller"}
	proxy, leads := infrastructure(o)
	if _, err := c.proxy(proxy); !leads || err != nil {
		taken.bad, taken.message = string(gatewayv1.GatewayReasonInvalidParameters), "gateway proxy not found"
	}
	var want wanted
	now := o.DeepCopy().Status
	now.Listeners = nil
	for _, l := range o.Spec.Listeners {
		ssls, resolved, taken := c.translateListener(o, l)
		want.ssls = append(want.ssls, ssls...)
		now.Listeners = append(now.Listeners, c.listenerStatus(o, l, resolved, taken))
	}
	now.Conditions = conditions(now.Conditions, o.Generation, taken,
		verdict{kind: string(gatewayv1.GatewayConditionProgrammed), good: string(gatewayv1.GatewayReasonProgrammed), message: "Programmed"})
	err = c.changeStatus(ctx, gatewayObjectResource, key.NamespacedName, o.Status, now)
	if !taken.ok() {
		c.forget(key)
		return err
	}
	want.proxy, want.generation = proxy, o.Generation
	if before, ok := c.deaf(key, o.Generation, c.bugsBehind(proxy)); ok {
		want.ssls = before.ssls
	}
	c.want(key, want)
	return err
}

// listenerStatus is the status of a listener.
func (c *controller) listenerStatus(o *gatewayv1.Gateway, l gatewayv1.Listener, resolved, taken verdict) gatewayv1.ListenerStatus {
	s := gatewayv1.ListenerStatus{Name: l.Name, SupportedKinds: []gatewayv1.RouteGroupKind{}}
	if i := slices.IndexFunc(o.Status.Listeners, func(have gatewayv1.ListenerStatus) bool { return have.Name == l.Name }); i >= 0 {
		s.Conditions = o.Status.Listeners[i].Conditions
	}
	if l.Protocol == gatewayv1.HTTPProtocolType || l.Protocol == gatewayv1.HTTPSProtocolType {
		group := gatewayv1.Group(gatewayv1.GroupName)
		s.SupportedKinds = append(s.SupportedKinds, gatewayv1.RouteGroupKind{Group: &group, Kind: kindHTTPRoute})
	}
	for _, route := range list[gatewayv1.HTTPRoute](c.api.routes) {
		for _, ref := range route.Spec.ParentRefs {
			if parentOf(route, ref) == named(o.Namespace, o.Name) && c.attached(route, ref, o, l).ok() {
				s.AttachedRoutes++
			}
		}
	}
	programmed := verdict{kind: string(gatewayv1.ListenerConditionProgrammed), good: string(gatewayv1.ListenerReasonProgrammed)}
	if !resolved.ok() || !taken.ok() {
		programmed.bad = string(gatewayv1.ListenerReasonInvalid)
	}
	s.Conditions = conditions(s.Conditions, o.Generation, programmed, resolved, taken,
		verdict{kind: string(gatewayv1.ListenerConditionConflicted), bad: string(gatewayv1.ListenerReasonNoConflicts)})
	return s
}

// translateListener makes a certificate object of each Secret of a listener that ends TLS,
// for its hostname or else for the names in the certificate. None is made unless all can
// be used, and the authorities of its clients too.
func (c *controller) translateListener(o *gatewayv1.Gateway, l gatewayv1.Listener) (ssls []adminapi.SSL, resolved, taken verdict) {
	resolved = verdict{kind: string(gatewayv1.ListenerConditionResolvedRefs), good: string(gatewayv1.ListenerReasonResolvedRefs)}
	taken = verdict{kind: string(gatewayv1.ListenerConditionAccepted), good: string(gatewayv1.ListenerReasonAccepted)}
	if l.TLS == nil || l.TLS.Mode != nil && *l.TLS.Mode != gatewayv1.TLSModeTerminate {
		return nil, resolved, taken
	}
	refused := func() ([]adminapi.SSL, verdict, verdict) {
		c.Log.Warn("listener not programmed", "gateway", o.Namespace+"/"+o.Name, "listener", l.Name, "why", resolved.message)
		return nil, resolved, taken
	}
	refuse := func(reason gatewayv1.ListenerConditionReason, format string, args ...any) ([]adminapi.SSL, verdict, verdict) {
		resolved.bad, resolved.message = string(reason), fmt.Sprintf(format, args...)
		return refused()
	}
	clients, no := frontend.Authorities{ConfigMaps: c.api.configMaps, Granted: func(gateway, target types.NamespacedName) bool {
		return c.granted(kindGateway, gateway.Namespace, frontend.ConfigMap, target)
	}}.Clients(o, l)
	if no != nil {
		resolved.bad, taken.bad = string(no.Resolved), string(no.Accepted)
		resolved.message, taken.message = no.Message, no.Message
		return refused()
	}
	for i, ref := range l.TLS.CertificateRefs {
		target := secretOf(o, ref)
		switch {
		case ref.Group != nil && *ref.Group != "" || ref.Kind != nil && *ref.Kind != kindSecret:
			return refuse(gatewayv1.ListenerReasonInvalidCertificateRef, "certificateRefs[%d] is not a Secret", i)
		case !c.granted(kindGateway, o.Namespace, kindSecret, target):
			return refuse(gatewayv1.ListenerReasonRefNotPermitted, "certificateRefs cross namespaces is not permitted")
		}
		secret, err := c.secret(secretReference{Namespace: target.Namespace, Name: target.Name})
		if err != nil {
			return refuse(gatewayv1.ListenerReasonInvalidCertificateRef, "%v", err)
		}
		cert, key := pairOf(secret)
		names := hostsOf(l.Hostname, cert)
		switch {
		case cert == "":
			return refuse(gatewayv1.ListenerReasonInvalidCertificateRef, "Malformed Secret referenced: %s has no certificate with a key", target)
		case len(names) == 0:
			return refuse(gatewayv1.ListenerReasonInvalidCertificateRef, "Malformed Secret referenced: no name in the certificate of %s", target)
		}
		ssls = append(ssls, adminapi.SSL{
			ID:   identity(kindGateway, o.Namespace, o.Name, string(l.Name), strconv.Itoa(i)),
			Cert: cert, Key: key, SNIs: names, Client: clients, Labels: c.labels(kindGateway, o.ObjectMeta),
		})
	}
	return ssls, resolved, taken
}

// hostsOf are the names that a listener serves with a certificate.
func hostsOf(hostname *gatewayv1.Hostname, cert string) []string {
	if hostname != nil && *hostname != "" {
		return []string{string(*hostname)}
	}
	block, _ := pem.Decode([]byte(cert))
	if block == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return leaf.DNSNames
}

// secretOf is the Secret that a listener refers to.
func secretOf(o *gatewayv1.Gateway, ref gatewayv1.SecretObjectReference) types.NamespacedName {
	if ref.Namespace != nil {
		return named(string(*ref.Namespace), string(ref.Name))
	}
	return named(o.Namespace, string(ref.Name))
}

// takesFrom reports whether a listener takes a certificate from a Secret.
func takesFrom(o *gatewayv1.Gateway, l gatewayv1.Listener, secret types.NamespacedName) bool {
	return l.TLS != nil && slices.ContainsFunc(l.TLS.CertificateRefs, func(ref gatewayv1.SecretObjectReference) bool { return secretOf(o, ref) == secret })
}
