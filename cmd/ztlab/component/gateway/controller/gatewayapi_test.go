package controller_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/controller"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/gatewaytest"
)

var (
	gatewayClasses  = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"}
	gateways        = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	httpRoutes      = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	referenceGrants = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "referencegrants"}
)

// A fields is a part of an object.
type fields = map[string]any

// gatewayClass makes the GatewayClass of the test.
func (w *testNamespace) gatewayClass(t *testing.T) {
	t.Helper()
	o := &unstructured.Unstructured{Object: fields{"spec": fields{"controllerName": w.controllerName()}}}
	o.SetAPIVersion(gatewayClasses.GroupVersion().String())
	o.SetKind("GatewayClass")
	o.SetName(w.name)
	w.create(t, gatewayClasses, o)
	t.Cleanup(func() {
		_ = w.untyped.Resource(gatewayClasses).Delete(context.WithoutCancel(t.Context()), w.name, metav1.DeleteOptions{})
	})
}

// listen applies Gateway web with listeners.
func (w *testNamespace) listen(t *testing.T, listeners ...any) {
	t.Helper()
	w.apply(t, gateways, "Gateway", "web", fields{
		"gatewayClassName": w.name,
		"infrastructure":   fields{"parametersRef": fields{"group": "apisix.apache.org", "kind": "GatewayProxy", "name": "apisix-config"}},
		"listeners":        listeners,
	})
}

// https is a listener with a certificate.
func https(name, hostname string, secret fields) fields {
	l := fields{"name": name, "protocol": "HTTPS", "port": int64(443), "tls": fields{"certificateRefs": []any{secret}}}
	if hostname != "" {
		l["hostname"] = hostname
	}
	return l
}

func readStatus[T any](t *testing.T, w *testNamespace, resource schema.GroupVersionResource, name string) (status T) {
	t.Helper()
	o, err := w.untyped.Resource(resource).Namespace(w.name).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o.Object["status"])
	if err == nil {
		err = json.Unmarshal(text, &status)
	}
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// reason is "Type=Status Reason" of a condition.
func reason(all []metav1.Condition, kind string) string {
	c := meta.FindStatusCondition(all, kind)
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%s=%s %s", kind, c.Status, c.Reason)
}

// listener waits until a listener has these conditions, and returns its routes.
func (w *testNamespace) listener(t *testing.T, name string, want ...string) int32 {
	t.Helper()
	var found gatewayv1.ListenerStatus
	gatewaytest.Eventually(t, fmt.Sprintf("listener %s with %v", name, want), func() bool {
		status := readStatus[gatewayv1.GatewayStatus](t, w, gateways, "web")
		i := slices.IndexFunc(status.Listeners, func(l gatewayv1.ListenerStatus) bool { return string(l.Name) == name })
		if i < 0 {
			return false
		}
		found = status.Listeners[i]
		var have []string
		for _, kind := range []string{"Programmed", "ResolvedRefs"} {
			have = append(have, reason(found.Conditions, kind))
		}
		return slices.Equal(have, want)
	})
	return found.AttachedRoutes
}

// routed waits until HTTPRoute shop has these conditions at its only parent.
func (w *testNamespace) routed(t *testing.T, name string, want ...string) {
	t.Helper()
	gatewaytest.Eventually(t, fmt.Sprintf("route %s with %v", name, want), func() bool {
		status := readStatus[gatewayv1.HTTPRouteStatus](t, w, httpRoutes, name)
		return len(status.Parents) == 1 && string(status.Parents[0].ControllerName) == w.controllerName() && slices.Equal(want,
			[]string{reason(status.Parents[0].Conditions, "Accepted"), reason(status.Parents[0].Conditions, "ResolvedRefs")})
	})
}

// gatewayRoute applies an HTTPRoute to Gateway web.
func (w *testNamespace) gatewayRoute(t *testing.T, name, service string, more fields, hosts ...any) {
	t.Helper()
	spec := fields{
		"parentRefs": []any{fields{"name": "web"}},
		"rules":      []any{fields{"backendRefs": []any{fields{"name": service, "port": int64(80)}}}},
	}
	if len(hosts) > 0 {
		spec["hostnames"] = hosts
	}
	for key, value := range more {
		spec[key] = value
	}
	w.apply(t, httpRoutes, "HTTPRoute", name, spec)
}

var (
	programmed    = []string{"Programmed=True Programmed", "ResolvedRefs=True ResolvedRefs"}
	noSecret      = []string{"Programmed=False Invalid", "ResolvedRefs=False InvalidCertificateRef"}
	notPermitted  = []string{"Programmed=False Invalid", "ResolvedRefs=False RefNotPermitted"}
	acceptedRoute = []string{"Accepted=True Accepted", "ResolvedRefs=True ResolvedRefs"}
)

// A listener serves the certificate of its Secret, which is followed; one whose Secret is
// missing is not programmed until it is there, and the others are served meanwhile.
func TestGateway(t *testing.T) {
	w := newTestNamespace(t)
	w.app(t)
	g := w.gateway(t)
	w.control(t)
	w.gatewayClass(t)
	first := w.secret(t, "hello-tls", site)
	w.listen(t, https("hello", site, fields{"name": "hello-tls"}), https("late", "late.example.local", fields{"name": "late-tls"}),
		https("any", "", fields{"name": "hello-tls"}), fields{"name": "plain", "protocol": "HTTP", "port": int64(80)})
	w.gatewayRoute(t, "hello", "hello-app", nil, site)
	w.routed(t, "hello", acceptedRoute...)
	g.serves(t, site, first)
	w.listener(t, "late", noSecret...)
	for name, routes := range map[string]int32{"hello": 1, "late": 0, "plain": 1, "any": 1} {
		gatewaytest.Eventually(t, name+" having its routes", func() bool {
			want := programmed
			if name == "late" {
				want = noSecret
			}
			return w.listener(t, name, want...) == routes
		})
	}
	status := readStatus[gatewayv1.GatewayStatus](t, w, gateways, "web")
	for kind, want := range map[string]string{"Accepted": "Accepted=True Accepted", "Programmed": "Programmed=True Programmed"} {
		if got := reason(status.Conditions, kind); got != want {
			t.Errorf("condition %q, want %q", got, want)
		}
	}
	gatewaytest.Eventually(t, "the class being accepted", func() bool {
		o, err := w.untyped.Resource(gatewayClasses).Get(t.Context(), w.name, metav1.GetOptions{})
		if err != nil {
			return false
		}
		list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
		return len(list) > 0 && list[0].(fields)["status"] == "True"
	})

	late := w.secret(t, "late-tls", "late.example.local")
	w.listener(t, "late", programmed...)
	g.serves(t, "late.example.local", late)
	g.serves(t, site, w.secret(t, "hello-tls", site))

	if err := w.untyped.Resource(gateways).Namespace(w.name).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "no certificate being left", func() bool {
		listed, err := g.admin().SSLs(t.Context())
		return err == nil && len(listed) == 0
	})
}

// With the bug a changed Secret reaches neither the listeners of a Gateway nor an Ingress.
func TestGatewayNeverPushed(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	w.control(t)
	w.gatewayClass(t)
	before := w.secret(t, "hello-tls", site)
	w.listen(t, https("hello", site, fields{"name": "hello-tls"}))
	g.serves(t, site, before)
	w.bugs(t, "secret-update-never-pushed")
	g.shows(t, "secret-update-never-pushed")
	after := w.secret(t, "hello-tls", site)
	w.route(t, "hello-route", site) // is pushed after the Secret has changed
	gatewaytest.Eventually(t, "the route in the Admin API", func() bool {
		listed, err := g.admin().Routes(t.Context())
		return err == nil && len(listed) == 1
	})
	if got, err := g.serial(t.Context(), site); err != nil || got != before {
		t.Errorf("certificate %s, %v; want the old one, %s", got, err, before)
	}
	w.listener(t, "hello", programmed...)
	w.bugs(t, "")
	g.serves(t, site, after)
}

// A Secret of another namespace needs a ReferenceGrant there, and so does a Service.
func TestReferenceGrant(t *testing.T) {
	w, other := newTestNamespace(t), newTestNamespace(t)
	other.app(t)
	g := w.gateway(t)
	w.control(t)
	w.gatewayClass(t)
	w.authority = other.authority
	serial := other.secret(t, "hello-tls", site)
	w.listen(t, https("hello", site, fields{"name": "hello-tls", "namespace": other.name}))
	backend := fields{"rules": []any{fields{"backendRefs": []any{fields{"name": "hello-app", "namespace": other.name, "port": int64(80)}}}}}
	w.gatewayRoute(t, "hello", "", backend, site)
	w.listener(t, "hello", notPermitted...)
	w.routed(t, "hello", "Accepted=True Accepted", "ResolvedRefs=False RefNotPermitted")
	if listed, err := g.admin().SSLs(t.Context()); err != nil || len(listed) != 0 {
		t.Errorf("certificates %v, %v", listed, err)
	}
	from := func(kind string) fields {
		return fields{"group": "gateway.networking.k8s.io", "kind": kind, "namespace": w.name}
	}
	other.apply(t, referenceGrants, "ReferenceGrant", "web", fields{
		"from": []any{from("Gateway"), from("HTTPRoute")},
		"to":   []any{fields{"group": "", "kind": "Secret", "name": "hello-tls"}, fields{"group": "", "kind": "Service"}},
	})
	w.listener(t, "hello", programmed...)
	w.routed(t, "hello", acceptedRoute...)
	g.serves(t, site, serial)
}

// A route is served under the hosts that it has in common with the listeners that let it
// in, and its status says why it is not served otherwise.
func TestHTTPRoute(t *testing.T) {
	w := newTestNamespace(t)
	w.app(t)
	g := w.gateway(t)
	w.control(t)
	w.gatewayClass(t)
	w.secret(t, "hello-tls", "*.example.local")
	shop := https("shop", "*.example.local", fields{"name": "hello-tls"})
	shut := fields{"name": "shut", "protocol": "HTTP", "port": int64(8080), "hostname": "*.example.org", "allowedRoutes": fields{"namespaces": fields{
		"from": "Selector", "selector": fields{"matchLabels": fields{"team": "web"}}}}}
	w.listen(t, shop, shut)
	prefix := fields{"rules": []any{fields{
		"matches":     []any{fields{"path": fields{"type": "PathPrefix", "value": "/a"}, "method": "GET"}, fields{"path": fields{"type": "Exact", "value": "/b"}}},
		"backendRefs": []any{fields{"name": "hello-app", "port": int64(80)}},
	}}}
	w.gatewayRoute(t, "hello", "hello-app", prefix, "a.example.local", "a.example.net")
	w.routed(t, "hello", acceptedRoute...)
	gatewaytest.Eventually(t, "both matches in the Admin API", func() bool {
		listed, err := g.admin().Routes(t.Context())
		if err != nil || len(listed) != 2 {
			return false
		}
		var have []string
		for _, r := range listed {
			have = append(have, fmt.Sprint(r.Hosts, r.URIs, r.Methods, len(r.Upstream.Nodes)))
		}
		slices.Sort(have)
		return slices.Equal(have, []string{"[a.example.local] [/a/* /a] [GET] 1", "[a.example.local] [/b] [] 1"})
	})
	for name, c := range map[string]struct {
		service string
		more    fields
		hosts   []any
		want    []string
	}{
		"other-hosts": {"hello-app", nil, []any{"a.example.net"}, []string{"Accepted=False NoMatchingListenerHostname", "ResolvedRefs=True ResolvedRefs"}},
		"shut":        {"hello-app", nil, []any{"a.example.org"}, []string{"Accepted=False NotAllowedByListeners", "ResolvedRefs=True ResolvedRefs"}},
		"no-listener": {"hello-app", fields{"parentRefs": []any{fields{"name": "web", "sectionName": "none"}}}, nil, []string{"Accepted=False NoMatchingParent", "ResolvedRefs=True ResolvedRefs"}},
		"no-backend":  {"nothing", nil, []any{"b.example.local"}, []string{"Accepted=True Accepted", "ResolvedRefs=False BackendNotFound"}},
		"filters": {"hello-app", fields{"rules": []any{fields{"filters": []any{fields{"type": "RequestRedirect", "requestRedirect": fields{"scheme": "https"}}}}}},
			nil, []string{"Accepted=False UnsupportedValue", "ResolvedRefs=True ResolvedRefs"}},
	} {
		w.gatewayRoute(t, name, c.service, c.more, c.hosts...)
		w.routed(t, name, c.want...)
	}
	label := []byte(`{"metadata": {"labels": {"team": "web"}}}`)
	if _, err := w.typed.CoreV1().Namespaces().Patch(t.Context(), w.name, types.MergePatchType, label, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.routed(t, "shut", acceptedRoute...)
}

// A Gateway without a GatewayProxy of its namespace is not accepted, and one of another
// controller is left alone; so is the Gateway API when it is switched off.
func TestGatewayOfNobody(t *testing.T) {
	w := newTestNamespace(t)
	w.gatewayClass(t)
	w.secret(t, "hello-tls", site)
	off := w.control(t, func(o *controller.Options) { o.DisableGatewayAPI = true })
	w.listen(t, https("hello", site, fields{"name": "hello-tls"}))
	w.tls(t, "hello-tls", w.name, site)
	w.condition(t, tlses, "hello-tls", metav1.ConditionTrue, "Accepted") // it has seen what there is
	if got := reason(readStatus[gatewayv1.GatewayStatus](t, w, gateways, "web").Conditions, "Accepted"); got != "Accepted=Unknown Pending" {
		t.Errorf("switched off: %s", got)
	}
	off.stop()

	w.control(t)
	w.listener(t, "hello", programmed...)
	w.merge(t, gateways, "web", fields{"spec": fields{"infrastructure": fields{"parametersRef": fields{"name": "none"}}}})
	gatewaytest.Eventually(t, "the Gateway being refused", func() bool {
		return reason(readStatus[gatewayv1.GatewayStatus](t, w, gateways, "web").Conditions, "Accepted") == "Accepted=False InvalidParameters"
	})
	w.apply(t, gateways, "Gateway", "foreign", fields{"gatewayClassName": "of-another", "listeners": []any{https("hello", site, fields{"name": "hello-tls"})}})
	w.secret(t, "other-tls", site)
	w.tls(t, "other-tls", w.name, site)
	w.condition(t, tlses, "other-tls", metav1.ConditionTrue, "Accepted")
	if got := reason(readStatus[gatewayv1.GatewayStatus](t, w, gateways, "foreign").Conditions, "Accepted"); got != "Accepted=Unknown Pending" {
		t.Errorf("of another controller: %s", got)
	}
}

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// asks has Gateway web verify its clients.
func (w *testNamespace) asks(t *testing.T, frontend fields) {
	t.Helper()
	w.merge(t, gateways, "web", fields{"spec": fields{"tls": fields{"frontend": frontend}}})
}

// bundle writes the authorities of clients into a ConfigMap.
func (w *testNamespace) bundle(t *testing.T, name, text string) {
	t.Helper()
	o := &unstructured.Unstructured{Object: fields{"data": fields{"ca.crt": text}}}
	o.SetAPIVersion("v1")
	o.SetKind("ConfigMap")
	o.SetName(name)
	if _, err := w.untyped.Resource(configMaps).Namespace(w.name).Apply(t.Context(), name, o, metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
		t.Fatal(err)
	}
}

// answers waits until each worker has a request answered as want says: "200", or "refused".
func (g *gateway) answers(t *testing.T, want string, certificates ...tls.Certificate) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, g.addresses[tlsPort])
		},
		TLSClientConfig:   &tls.Config{RootCAs: g.namespace.authority.Pool(), Certificates: certificates},
		DisableKeepAlives: true,
	}}
	gatewaytest.Eventually(t, "every worker answering "+want, func() bool {
		for range 6 {
			got := "refused"
			if response, err := client.Get("https://" + site); err == nil {
				response.Body.Close()
				got = fmt.Sprint(response.StatusCode)
			}
			if got != want {
				return false
			}
		}
		return true
	})
}

// A Gateway asks for certificates of an authority in a ConfigMap, which is followed; a
// listener without its authorities is not served, since it would let in everybody.
func TestFrontendValidation(t *testing.T) {
	w, other := newTestNamespace(t), newTestNamespace(t)
	w.app(t)
	g := w.gateway(t)
	w.control(t)
	w.gatewayClass(t)
	first := w.secret(t, "hello-tls", site)
	w.listen(t, https("hello", site, fields{"name": "hello-tls"}))
	w.gatewayRoute(t, "hello", "hello-app", nil, site)
	g.answers(t, "200")

	clients, foreign := gatewaytest.NewAuthority(t), gatewaytest.NewAuthority(t)
	pair := func(a *gatewaytest.Authority) tls.Certificate {
		p := a.Issue(t, "client.example.local")
		out, err := tls.X509KeyPair([]byte(p.Cert), []byte(p.Key))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	validation := func(more fields, refs ...any) fields {
		v := fields{"caCertificateRefs": refs}
		for key, value := range more {
			v[key] = value
		}
		return fields{"validation": v}
	}
	mine := fields{"group": "", "kind": "ConfigMap", "name": "clients"}
	w.asks(t, fields{"default": validation(nil, mine)})
	w.listener(t, "hello", "Programmed=False Invalid", "ResolvedRefs=False InvalidCACertificateRef")
	g.answers(t, "refused")
	w.bundle(t, "clients", "no certificate")
	w.listener(t, "hello", "Programmed=False Invalid", "ResolvedRefs=False InvalidCACertificateRef")
	w.bundle(t, "clients", foreign.PEM())
	w.listener(t, "hello", programmed...)
	g.answers(t, "200", pair(foreign))
	w.bundle(t, "clients", clients.PEM())
	g.answers(t, "200", pair(clients))
	g.answers(t, "refused", pair(foreign))
	g.answers(t, "refused")

	// Of another namespace it needs a ReferenceGrant.
	theirs := fields{"group": "", "kind": "ConfigMap", "name": "clients", "namespace": other.name}
	other.bundle(t, "clients", foreign.PEM())
	w.asks(t, fields{"default": validation(nil, theirs)})
	w.listener(t, "hello", notPermitted...)
	g.answers(t, "refused", pair(foreign))
	other.apply(t, referenceGrants, "ReferenceGrant", "clients", fields{
		"from": []any{fields{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": w.name}},
		"to":   []any{fields{"group": "", "kind": "ConfigMap", "name": "clients"}},
	})
	w.listener(t, "hello", programmed...)
	g.answers(t, "200", pair(foreign))
	g.answers(t, "refused", pair(clients))

	for _, kind := range []string{"Secret", "Service"} {
		w.asks(t, fields{"default": validation(nil, fields{"group": "", "kind": kind, "name": "clients"})})
		w.listener(t, "hello", "Programmed=False Invalid", "ResolvedRefs=False InvalidCACertificateKind")
		g.answers(t, "refused", pair(clients))
	}
	w.asks(t, fields{"default": validation(fields{"mode": "AllowInsecureFallback"}, mine)})
	w.listener(t, "hello", "Programmed=False Invalid", "ResolvedRefs=True ResolvedRefs")
	status := readStatus[gatewayv1.GatewayStatus](t, w, gateways, "web").Listeners[0]
	if got := reason(status.Conditions, "Accepted"); got != "Accepted=False UnsupportedValue" {
		t.Errorf("AllowInsecureFallback: %s", got)
	}
	g.answers(t, "refused")

	// The settings of a port replace the default ones.
	own := func(port int64, what fields) fields {
		return fields{"default": validation(fields{"mode": "AllowValidOnly"}, mine), "perPort": []any{fields{"port": port, "tls": what}}}
	}
	w.asks(t, own(8443, fields{}))
	g.answers(t, "200", pair(clients))
	g.answers(t, "refused")
	w.asks(t, own(443, fields{}))
	g.answers(t, "200")
	g.serves(t, site, first)
}
