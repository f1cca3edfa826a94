// Package frontend reads from a Gateway which certificates the clients of its listeners need
// (spec.tls.frontend): those of authorities in ca.crt of a ConfigMap.
package frontend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/util/cert"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// ConfigMap is the only kind of object that authorities are taken from.
const ConfigMap = "ConfigMap"

// Readable reports whether the client has the right to watch ConfigMaps. The roles of
// earlier charts do not give it.
func Readable(ctx context.Context, client kubernetes.Interface) bool {
	for _, verb := range []string{"list", "watch"} {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: "configmaps"},
		}}
		answer, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil || !answer.Status.Allowed {
			return false
		}
	}
	return true
}

// validation returns how a listener verifies its clients: by the rule of its port, or else
// by the Gateway's default; nil if it does not ask them.
func validation(o *gatewayv1.Gateway, l gatewayv1.Listener) *gatewayv1.FrontendTLSValidation {
	if l.Protocol != gatewayv1.HTTPSProtocolType || o.Spec.TLS == nil || o.Spec.TLS.Frontend == nil {
		return nil
	}
	for _, own := range o.Spec.TLS.Frontend.PerPort {
		if own.Port == l.Port {
			return own.TLS.Validation
		}
	}
	return o.Spec.TLS.Frontend.Default.Validation
}

// Authorities are read from ConfigMaps.
type Authorities struct {
	ConfigMaps corelisters.ConfigMapLister                        // nil without the right to watch them
	Granted    func(gateway, configMap types.NamespacedName) bool // whether a Gateway may refer to a ConfigMap
}

// A Refusal is why a listener is not served: the reasons of its conditions ResolvedRefs and
// Accepted, "" for one that is True.
type Refusal struct {
	Resolved, Accepted gatewayv1.ListenerConditionReason
	Message            string
}

// Clients returns the requirements of a listener on its clients; nil if it does not ask
// them. A listener that is refused must not be served: without its authorities it would let
// in everybody. As upstream, AllowInsecureFallback is not supported.
func (a Authorities) Clients(o *gatewayv1.Gateway, l gatewayv1.Listener) (*adminapi.Client, *Refusal) {
	v := validation(o, l)
	switch {
	case v == nil:
		return nil, nil
	case v.Mode == gatewayv1.AllowInsecureFallback:
		return nil, &Refusal{Accepted: gatewayv1.ListenerReasonUnsupportedValue, Message: "frontend validation mode AllowInsecureFallback is not supported"}
	}
	var bundle []string
	var refused *Refusal
	for _, ref := range v.CACertificateRefs {
		ca, reason, err := a.read(o, ref)
		if err != nil {
			refused = &Refusal{Resolved: reason, Message: "caCertificateRefs: " + err.Error()}
			continue
		}
		bundle = append(bundle, strings.TrimSpace(ca))
	}
	switch {
	case refused == nil:
		return &adminapi.Client{CA: strings.Join(bundle, "\n")}, nil
	case len(bundle) == 0:
		refused.Accepted = gatewayv1.ListenerReasonNoValidCACertificate
	}
	return nil, refused
}

// read returns the authorities in the ConfigMap that a Gateway refers to.
func (a Authorities) read(o *gatewayv1.Gateway, ref gatewayv1.ObjectReference) (string, gatewayv1.ListenerConditionReason, error) {
	target := targetOf(o, ref)
	switch {
	case ref.Group != "" || ref.Kind != ConfigMap:
		return "", gatewayv1.ListenerReasonInvalidCACertificateKind, fmt.Errorf("%s %s is not a ConfigMap", ref.Kind, target)
	case !a.Granted(types.NamespacedName{Namespace: o.Namespace, Name: o.Name}, target):
		return "", gatewayv1.ListenerReasonRefNotPermitted, fmt.Errorf("ConfigMap %s is of another namespace, and no ReferenceGrant permits it", target)
	case a.ConfigMaps == nil:
		return "", gatewayv1.ListenerReasonInvalidCACertificateRef, errors.New("the controller has no right to watch ConfigMaps")
	}
	found, err := a.ConfigMaps.ConfigMaps(target.Namespace).Get(target.Name)
	if err != nil {
		return "", gatewayv1.ListenerReasonInvalidCACertificateRef, err
	}
	ca := found.Data[corev1.ServiceAccountRootCAKey]
	if _, err := cert.ParseCertsPEM([]byte(ca)); err != nil {
		return "", gatewayv1.ListenerReasonInvalidCACertificateRef, fmt.Errorf("%s of ConfigMap %s: %w", corev1.ServiceAccountRootCAKey, target, err)
	}
	return ca, "", nil
}

func targetOf(o *gatewayv1.Gateway, ref gatewayv1.ObjectReference) types.NamespacedName {
	if ref.Namespace != nil {
		return types.NamespacedName{Namespace: string(*ref.Namespace), Name: string(ref.Name)}
	}
	return types.NamespacedName{Namespace: o.Namespace, Name: string(ref.Name)}
}

// Uses reports whether a listener of a Gateway takes authorities from a ConfigMap.
func Uses(o *gatewayv1.Gateway, configMap types.NamespacedName) bool {
	for _, l := range o.Spec.Listeners {
		if v := validation(o, l); v != nil {
			for _, ref := range v.CACertificateRefs {
				if targetOf(o, ref) == configMap {
					return true
				}
			}
		}
	}
	return false
}
