package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// Reasons of the one condition that an object has.
const (
	accepted    = "Accepted" // also the condition's type
	invalidSpec = "InvalidSpec"
	syncFailed  = "SyncFailed"
)

// A refusal is why an object is not accepted.
type refusal struct{ reason, message string }

func (r *refusal) Error() string { return r.message }

// reconcile handles one object: the gateway objects that it asks for are kept, its status
// written, and the gateways' turn comes after that.
func (c *controller) reconcile(ctx context.Context, key object) error {
	switch key.kind {
	case kindTLS:
		o, err := get[apisixTLS](c.tls, key.NamespacedName)
		if err != nil {
			return err
		}
		if o == nil {
			c.forget(key)
			return nil
		}
		return c.accept(ctx, key, o.Spec.IngressClassName, o.ObjectMeta, o.Status, "The apisix tls has been accepted and synced to APISIX", func() (wanted, error) {
			if before, ok := c.deaf(key, o.Generation, c.bugsOf(o.Spec.IngressClassName)); ok {
				return before, nil
			}
			ssl, err := c.translateTLS(o)
			return wanted{ssls: []adminapi.SSL{ssl}}, err
		})
	case kindRoute:
		o, err := get[apisixRoute](c.routes, key.NamespacedName)
		if err != nil {
			return err
		}
		if o == nil {
			c.forget(key)
			return nil
		}
		return c.accept(ctx, key, o.Spec.IngressClassName, o.ObjectMeta, o.Status, "", func() (wanted, error) {
			routes, err := c.translateRoute(o)
			return wanted{routes: routes}, err
		})
	}
	switch {
	case key.kind == kindIngress:
		return c.reconcileIngress(key)
	case c.api == nil:
	case key.kind == kindGatewayClass:
		return c.reconcileClass(ctx, key)
	case key.kind == kindGateway:
		return c.reconcileGateway(ctx, key)
	case key.kind == kindHTTPRoute:
		return c.reconcileHTTPRoute(ctx, key)
	}
	return fmt.Errorf("unknown kind %q", key.kind)
}

// accept translates an object of one of our IngressClasses. The earlier
// translation stays wanted when it cannot be translated now.
func (c *controller) accept(ctx context.Context, key object, class string, meta metav1.ObjectMeta, have status, message string, translate func() (wanted, error)) error {
	found, err := c.class(class)
	if err != nil {
		return err
	}
	if found == nil {
		c.Log.Debug("no matching IngressClass: passed over", "kind", key.kind, "object", key.String(), "ingressClassName", class)
		c.forget(key)
		return nil
	}
	refuse := func(reason, why string) error {
		c.Log.Warn("not accepted", "kind", key.kind, "object", key.String(), "reason", reason, "why", why)
		return c.setStatus(ctx, key, meta, have, metav1.Condition{Status: metav1.ConditionFalse, Reason: reason, Message: why})
	}
	proxy, leads := parameters(found)
	if leads {
		if _, err := c.proxy(proxy); err != nil {
			return refuse(invalidSpec, err.Error())
		}
	}
	want, err := translate()
	if err != nil {
		reason := invalidSpec
		if refused, ok := err.(*refusal); ok {
			reason = refused.reason
		}
		return refuse(reason, err.Error())
	}
	if !leads {
		c.Log.Info("no GatewayProxy configs provided", "kind", key.kind, "object", key.String(), "ingressClass", found.Name)
		c.forget(key)
	}
	condition := metav1.Condition{Status: metav1.ConditionTrue, Reason: accepted, Message: message}
	if failure := c.failure(proxy); leads && failure != "" {
		condition = metav1.Condition{Status: metav1.ConditionFalse, Reason: syncFailed, Message: failure}
	}
	// The status is written first, and is "synced" already; the gateways do
	// not wait for it.
	err = c.setStatus(ctx, key, meta, have, condition)
	if leads {
		want.proxy, want.generation = proxy, meta.Generation
		c.want(key, want)
	}
	return err
}

// want keeps the gateway objects that an object asks for, and has them written.
func (c *controller) want(key object, want wanted) {
	c.mu.Lock()
	before, ok := c.wanted[key]
	c.wanted[key] = want
	c.mu.Unlock()
	if ok && before.proxy != want.proxy {
		c.schedule(before.proxy)
	}
	c.schedule(want.proxy)
}

// forget drops the gateway objects that an object asked for.
func (c *controller) forget(key object) {
	c.mu.Lock()
	before, ok := c.wanted[key]
	delete(c.wanted, key)
	c.mu.Unlock()
	if ok {
		c.schedule(before.proxy)
	}
}

// deaf returns the gateway objects that an object asked for before, when its Secrets are
// not to be looked at again because of the bug.
func (c *controller) deaf(key object, generation int64, bugs adminapi.Bugs) (wanted, bool) {
	if !bugs.Has(adminapi.SecretNeverPushed) {
		return wanted{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before, ok := c.wanted[key]
	return before, ok && before.generation == generation
}

// translateTLS makes the certificate object of an ApisixTls.
func (c *controller) translateTLS(o *apisixTLS) (adminapi.SSL, error) {
	secret, err := c.secret(o.Spec.Secret)
	if err != nil {
		return adminapi.SSL{}, fmt.Errorf("invalid apisix tls secret: %w", err)
	}
	ssl := adminapi.SSL{ID: identity(kindTLS, o.Namespace, o.Name), SNIs: o.Spec.Hosts, Labels: c.labels(kindTLS, o.ObjectMeta)}
	ssl.Cert, ssl.Key = pairOf(secret)
	if ssl.Cert == "" {
		return adminapi.SSL{}, &refusal{syncFailed, fmt.Sprintf("secret %s has neither %s and %s nor cert and key", o.Spec.Secret.key(), corev1.TLSCertKey, corev1.TLSPrivateKeyKey)}
	}
	if o.Spec.Client != nil {
		secret, err := c.secret(o.Spec.Client.CASecret)
		if err != nil {
			return adminapi.SSL{}, fmt.Errorf("invalid client CA secret: %w", err)
		}
		ca, err := authorities(secret)
		if err != nil {
			return adminapi.SSL{}, fmt.Errorf("invalid client CA secret: %w", err)
		}
		ssl.Client = &adminapi.Client{CA: ca, Depth: &o.Spec.Client.Depth, SkipMTLS: o.Spec.Client.SkipMTLS}
	}
	return ssl, nil
}

// pairOf returns the certificate and the key of a Secret, "" without them.
func pairOf(secret *corev1.Secret) (cert, key string) {
	for _, names := range [][2]string{{corev1.TLSCertKey, corev1.TLSPrivateKeyKey}, {"cert", "key"}} {
		if cert, key := secret.Data[names[0]], secret.Data[names[1]]; len(cert) > 0 && len(key) > 0 {
			return string(cert), string(key)
		}
	}
	return "", ""
}

// authorities returns the authorities of clients in a Secret. As upstream's ExtractKeyPair
// does, it takes ca.crt only if there is neither cert nor tls.crt: of a Secret that
// cert-manager writes it takes the certificate itself, with which no client is verified.
func authorities(secret *corev1.Secret) (string, error) {
	for _, name := range []string{"cert", corev1.TLSCertKey, corev1.ServiceAccountRootCAKey} {
		if text, ok := secret.Data[name]; ok {
			return string(text), nil
		}
	}
	return "", errors.New("unknown secret format")
}

func (c *controller) secret(ref secretReference) (*corev1.Secret, error) {
	found, err := c.secrets.Secrets(ref.Namespace).Get(ref.Name)
	if err != nil {
		return nil, fmt.Errorf("failed to get secret %s: %w", ref.key(), err)
	}
	return found, nil
}

// translateRoute makes a route object of each rule of an ApisixRoute. A
// backend that does not exist is no error: its route has no nodes.
func (c *controller) translateRoute(o *apisixRoute) ([]adminapi.Route, error) {
	var routes []adminapi.Route
	seen := map[string]bool{}
	for _, rule := range o.Spec.HTTP {
		if seen[rule.Name] {
			return nil, &refusal{invalidSpec, "duplicate route rule name"}
		}
		seen[rule.Name] = true
		upstream := &adminapi.Upstream{Type: "roundrobin", Nodes: []adminapi.Node{}}
		for _, b := range rule.Backends {
			nodes, err := c.nodes(o.Namespace, b)
			if err != nil {
				return nil, err
			}
			upstream.Nodes = append(upstream.Nodes, nodes...)
		}
		routes = append(routes, adminapi.Route{
			ID:        identity(kindRoute, o.Namespace, o.Name, rule.Name),
			Name:      fmt.Sprintf("%s_%s_%s", o.Namespace, o.Name, rule.Name),
			Hosts:     rule.Match.Hosts,
			URIs:      rule.Match.Paths,
			Methods:   rule.Match.Methods,
			Priority:  rule.Priority,
			WebSocket: rule.WebSocket,
			Upstream:  upstream,
			Labels:    c.labels(kindRoute, o.ObjectMeta),
		})
	}
	return routes, nil
}

func (c *controller) labels(kind string, meta metav1.ObjectMeta) map[string]string {
	return map[string]string{
		adminapi.LabelKind:       kind,
		adminapi.LabelNamespace:  meta.Namespace,
		adminapi.LabelName:       meta.Name,
		adminapi.LabelController: c.ControllerName,
		adminapi.LabelManagedBy:  adminapi.ManagedBy,
	}
}

// identity is the same for the same names, and short.
func identity(names ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", names))
	return hex.EncodeToString(sum[:8])
}

// setStatus writes the one condition that an object has, if it is not there
// yet. As seen on the controller 2.2.0, an object that was SyncFailed and is
// Accepted again has an empty message, and keeps it for this generation.
func (c *controller) setStatus(ctx context.Context, key object, meta metav1.ObjectMeta, have status, want metav1.Condition) error {
	want.Type, want.ObservedGeneration = accepted, meta.Generation
	if len(have.Conditions) == 1 {
		h := have.Conditions[0]
		if want.Reason == accepted && (h.Reason == syncFailed || h.Reason == accepted && h.Message == "" && h.ObservedGeneration == want.ObservedGeneration) {
			want.Message = ""
		}
		if h.Type == want.Type && h.Status == want.Status && h.Reason == want.Reason && h.Message == want.Message && h.ObservedGeneration == want.ObservedGeneration {
			return nil
		}
	}
	want.LastTransitionTime = metav1.Now()
	resource := tlsResource
	if key.kind == kindRoute {
		resource = routeResource
	}
	return c.updateStatus(ctx, resource, key.NamespacedName, status{Conditions: []metav1.Condition{want}})
}

// schedule has a GatewayProxy's gateways written to.
func (c *controller) schedule(proxy types.NamespacedName) {
	c.mu.Lock()
	c.due[proxy] = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// failure is why writing to a GatewayProxy's gateways failed last, "" when it
// did not.
func (c *controller) failure(proxy types.NamespacedName) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused[proxy]
}
