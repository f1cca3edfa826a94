package controller_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/controller"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/gatewaytest"
)

const site = "hello.example.local"

// The guide's objects reach the gateway, and a rotation does.
func TestRotation(t *testing.T) {
	w := newTestNamespace(t)
	w.app(t)
	g := w.gateway(t)
	w.control(t)
	serial := w.secret(t, "hello-tls", "*.example.local")
	w.tls(t, "hello-tls", w.name, "*.example.local")
	w.route(t, "hello-route", site)
	g.serves(t, site, serial)

	var direct net.Dialer
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return direct.DialContext(ctx, network, g.addresses[tlsPort])
		},
		TLSClientConfig: &tls.Config{RootCAs: w.authority.Pool()},
	}}
	defer client.CloseIdleConnections()
	gatewaytest.Eventually(t, "the app behind the gateway", func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+site+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return err == nil && response.StatusCode == http.StatusOK && string(body) == "hello"
	})
	for _, c := range []struct {
		name    string
		got     metav1.Condition
		message string
	}{
		{"ApisixTls", w.condition(t, tlses, "hello-tls", metav1.ConditionTrue, "Accepted"), "The apisix tls has been accepted and synced to APISIX"},
		{"ApisixRoute", w.condition(t, routes, "hello-route", metav1.ConditionTrue, "Accepted"), ""}, // as seen on the controller 2.2.0
	} {
		if c.got.Message != c.message || c.got.ObservedGeneration != 1 {
			t.Errorf("%s: message %q, generation %d", c.name, c.got.Message, c.got.ObservedGeneration)
		}
	}

	// A busy machine makes some rotations slow, a wait of the controller's all of them.
	least := time.Duration(math.MaxInt64)
	for tries := 0; tries == 0 || tries < 10 && least > 2*time.Second; tries++ {
		began := time.Now()
		serial = w.secret(t, "hello-tls", "*.example.local")
		g.serves(t, site, serial)
		least = min(least, time.Since(began))
	}
	t.Logf("Secret written to last worker: %v", least)
	if least > 2*time.Second {
		t.Errorf("the fastest of ten rotations took %v", least)
	}

	listed, err := g.admin().SSLs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(listed) != 1 {
		t.Fatalf("%d certificates, want 1", len(listed))
	}
	if got := (gatewaytest.Pair{Cert: listed[0].Cert}).Serial(t); got != serial {
		t.Errorf("the Admin API has certificate %s, want %s", got, serial)
	}
	want := map[string]string{
		"k8s/kind": "ApisixTls", "k8s/namespace": w.name, "k8s/name": "hello-tls",
		"k8s/controller-name": w.controllerName(), "manager-by": "apisix-ingress-controller",
	}
	if diff := cmp.Diff(want, listed[0].Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
}

// A missing Secret is an invalid spec, and heals when the Secret comes.
func TestMissingSecret(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	w.control(t)
	w.tls(t, "late", w.name, site)
	condition := w.condition(t, tlses, "late", metav1.ConditionFalse, "InvalidSpec")
	if want := fmt.Sprintf(`invalid apisix tls secret: failed to get secret %s/late: secret "late" not found`, w.name); condition.Message != want {
		t.Errorf("message = %q, want %q", condition.Message, want)
	}
	serial := w.secret(t, "late", site)
	g.serves(t, site, serial)
	w.condition(t, tlses, "late", metav1.ConditionTrue, "Accepted")
}

// The statuses that are empty or wrong.
func TestStatuses(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	w.class(t, w.name+"-nowhere", "")
	w.class(t, w.name+"-lost", "no-such-proxy")
	t.Cleanup(func() {
		for _, class := range []string{w.name + "-nowhere", w.name + "-lost"} {
			w.typed.NetworkingV1().IngressClasses().Delete(context.WithoutCancel(t.Context()), class, metav1.DeleteOptions{})
		}
	})
	w.control(t)
	w.secret(t, "foreign", "foreign.test")
	w.tls(t, "foreign", "another-class", "foreign.test")
	w.secret(t, "nowhere", "nowhere.test")
	w.tls(t, "nowhere", w.name+"-nowhere", "nowhere.test")
	w.secret(t, "lost", "lost.test")
	w.tls(t, "lost", w.name+"-lost", "lost.test")
	w.apply(t, routes, "ApisixRoute", "twice", map[string]any{"ingressClassName": w.name, "http": []any{rule("same", "a.test"), rule("same", "b.test")}})
	w.route(t, "no-service", "no-service.test")
	serial := w.secret(t, "last", "last.test")
	w.tls(t, "last", w.name, "last.test")

	// The last object has arrived: so has everything before it.
	g.serves(t, "last.test", serial)
	w.condition(t, tlses, "last", metav1.ConditionTrue, "Accepted")

	// Nothing pushed, Accepted all the same: the IngressClass leads nowhere.
	w.condition(t, tlses, "nowhere", metav1.ConditionTrue, "Accepted")
	if _, err := g.serial(t.Context(), "nowhere.test"); err == nil {
		t.Error("nowhere.test is served")
	}
	lost := w.condition(t, tlses, "lost", metav1.ConditionFalse, "InvalidSpec")
	if !strings.Contains(lost.Message, "no-such-proxy not found") {
		t.Errorf("message = %q", lost.Message)
	}
	twice := w.condition(t, routes, "twice", metav1.ConditionFalse, "InvalidSpec")
	if twice.Message != "duplicate route rule name" {
		t.Errorf("message = %q", twice.Message)
	}
	w.condition(t, routes, "no-service", metav1.ConditionTrue, "Accepted")
	if got := w.conditions(t, tlses, "foreign"); len(got) != 0 {
		t.Errorf("an object of another class has conditions: %v", got)
	}
}

// A wrong admin key is a failed sync, in the status once it is known, and
// cured by the right key. The messages are those of the controller 2.2.0.
func TestWrongAdminKey(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	key := func(value string) {
		w.merge(t, proxies, "apisix-config", map[string]any{"spec": map[string]any{"provider": map[string]any{
			"controlPlane": map[string]any{"auth": map[string]any{"adminKey": map[string]any{"value": value}}},
		}}})
	}
	key("wrong")
	w.control(t)
	serial := w.secret(t, "hello-tls", site)
	w.tls(t, "hello-tls", w.name, site)
	condition := w.condition(t, tlses, "hello-tls", metav1.ConditionFalse, "SyncFailed")
	const want = `ServerAddr: http://10.99.0.1:9180, Err: HTTP 500: {"message":"AxiosError: Request failed with status code 401"}`
	if condition.Message != want {
		t.Errorf("message = %q, want %q", condition.Message, want)
	}
	key(adminKey)
	g.serves(t, site, serial)
	if condition := w.condition(t, tlses, "hello-tls", metav1.ConditionTrue, "Accepted"); condition.Message != "" {
		t.Errorf("message after recovery = %q, want none", condition.Message)
	}
	// The next write of the object's own does not bring one either.
	serial = w.secret(t, "hello-tls", site)
	g.serves(t, site, serial)
	if condition := w.condition(t, tlses, "hello-tls", metav1.ConditionTrue, "Accepted"); condition.Message != "" {
		t.Errorf("message after a rotation = %q, want none", condition.Message)
	}
}

// Seen on the controller 2.2.0: a rotation is one "Update ssl" under the same
// id.
func TestRotationIsOneUpdate(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	var mu sync.Mutex
	var written []string
	gateway, err := url.Parse("http://" + g.addresses[adminPort])
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(gateway)
	watched := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && strings.HasPrefix(r.URL.Path, adminapi.Prefix+adminapi.KindSSL) {
			mu.Lock()
			written = append(written, r.Method+" "+r.URL.Path)
			mu.Unlock()
		}
		proxy.ServeHTTP(rw, r)
	}))
	defer watched.Close()
	w.mu.Lock()
	w.addresses[fmt.Sprintf("10.99.0.1:%d", adminPort)] = watched.Listener.Addr().String()
	w.mu.Unlock()
	defer w.control(t).stop()
	for range 3 {
		serial := w.secret(t, "hello-tls", site)
		w.tls(t, "hello-tls", w.name, site)
		g.serves(t, site, serial)
	}
	// A further sync writes no certificate: routes come after them.
	w.route(t, "hello-route", site)
	gatewaytest.Eventually(t, "the route in the Admin API", func() bool {
		listed, err := g.admin().Routes(t.Context())
		return err == nil && len(listed) == 1
	})
	mu.Lock()
	defer mu.Unlock()
	if len(written) != 3 || !strings.HasPrefix(written[0], "PUT /apisix/admin/ssls/") || written[1] != written[0] || written[2] != written[0] {
		t.Errorf("three rotations wrote %v, want one PUT of one certificate each", written)
	}
}

// Seen on the controller 2.2.0 with the webhook off: two ApisixTls for one host
// are both Accepted. The gateway serves the one that was inserted first, and
// after a restart the other one may be served.
func TestTwoApisixTlsForOneHost(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	w.control(t)
	serials := map[string]string{}
	create := func(name string) {
		t.Helper()
		serials[name] = w.secret(t, name, site)
		w.tls(t, name, w.name, site)
		w.condition(t, tlses, name, metav1.ConditionTrue, "Accepted")
	}
	// ids are the names of the ApisixTls in the order of their keys.
	ids := func(want int) (names []string) {
		t.Helper()
		gatewaytest.Eventually(t, fmt.Sprintf("%d certificates", want), func() bool {
			names = nil
			listed, err := g.admin().SSLs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, ssl := range listed {
				names = append(names, ssl.Labels[adminapi.LabelName])
			}
			return len(names) == want
		})
		return names
	}
	create("one")
	create("two")
	lowest := ids(2)[0]
	// The lowest key is inserted once more, after the other one.
	if err := w.untyped.Resource(tlses).Namespace(w.name).Delete(t.Context(), lowest, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	first := ids(1)[0]
	create(lowest)
	ids(2)
	marker := w.secret(t, "marker", "marker.test")
	w.tls(t, "marker", w.name, "marker.test")
	g.serves(t, "marker.test", marker) // so everything before it has been taken
	g.serves(t, site, serials[first])
	restarted := w.gateway(t)
	<-restarted.ready
	restarted.serves(t, site, serials[lowest])
}

// A key that does not match is pushed, as by the controller 2.2.0, and so is the
// right one after it.
func TestKeyIsCompared(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	w.control(t)
	serial := w.secret(t, "hello-tls", site)
	client := w.typed.CoreV1().Secrets(w.name)
	secret, err := client.Get(t.Context(), "hello-tls", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	key := secret.Data["tls.key"]
	secret.Data["tls.key"] = []byte(w.authority.Issue(t, site).Key)
	if secret, err = client.Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.tls(t, "hello-tls", w.name, site)
	gatewaytest.Eventually(t, "the certificate in the Admin API", func() bool {
		listed, err := g.admin().SSLs(t.Context())
		return err == nil && len(listed) == 1
	})
	if _, err := g.serial(t.Context(), site); err == nil {
		t.Error("a handshake with a key that does not match succeeded")
	}
	secret.Data["tls.key"] = key
	if _, err := client.Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	g.serves(t, site, serial)
}

// The admin key may be in a Secret.
func TestAdminKeyFromSecret(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "admin"}, StringData: map[string]string{"key": "wrong"}}
	if _, err := w.typed.CoreV1().Secrets(w.name).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.merge(t, proxies, "apisix-config", map[string]any{"spec": map[string]any{"provider": map[string]any{
		"controlPlane": map[string]any{"auth": map[string]any{"adminKey": map[string]any{
			"value": nil, "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "admin", "key": "key"}},
		}}},
	}}})
	w.control(t)
	serial := w.secret(t, "hello-tls", site)
	w.tls(t, "hello-tls", w.name, site)
	w.condition(t, tlses, "hello-tls", metav1.ConditionFalse, "SyncFailed")
	secret.StringData["key"] = adminKey
	if _, err := w.typed.CoreV1().Secrets(w.name).Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	g.serves(t, site, serial)
}

// The controller is the only source of truth for certificates: objects made by
// hand go, and so do those of a deleted object. As seen on the
// controller 2.2.0, a route without a service that was made by hand stays.
func TestOnlySourceOfTruth(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	w.control(t)
	pair := w.authority.Issue(t, "by-hand.test")
	if err := g.admin().Put(t.Context(), adminapi.KindSSL, "by-hand", adminapi.SSL{SNIs: []string{"by-hand.test"}, Cert: pair.Cert, Key: pair.Key}); err != nil {
		t.Fatal(err)
	}
	route := adminapi.Route{URIs: []string{"/by-hand"}, Upstream: &adminapi.Upstream{Type: "roundrobin"}}
	if err := g.admin().Put(t.Context(), adminapi.KindRoute, "by-hand", route); err != nil {
		t.Fatal(err)
	}
	w.route(t, "hello-route", site)
	serial := w.secret(t, "hello-tls", site)
	w.tls(t, "hello-tls", w.name, site)
	g.serves(t, site, serial)
	ids := func() []string {
		listed, err := g.admin().SSLs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, ssl := range listed {
			ids = append(ids, ssl.Labels["k8s/name"])
		}
		return ids
	}
	gatewaytest.Eventually(t, "only hello-tls in the Admin API", func() bool { return cmp.Equal(ids(), []string{"hello-tls"}) })
	if err := w.untyped.Resource(tlses).Namespace(w.name).Delete(t.Context(), "hello-tls", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "nothing in the Admin API", func() bool { return len(ids()) == 0 })
	routeIDs := func() (ids []string) {
		listed, err := g.admin().Routes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range listed {
			if name := r.Labels["k8s/name"]; name != "" {
				r.ID = name
			}
			ids = append(ids, r.ID)
		}
		slices.Sort(ids)
		return ids
	}
	gatewaytest.Eventually(t, "both routes", func() bool { return slices.Equal(routeIDs(), []string{"by-hand", "hello-route"}) })
	if err := w.untyped.Resource(routes).Namespace(w.name).Delete(t.Context(), "hello-route", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "the route made by hand alone", func() bool { return slices.Equal(routeIDs(), []string{"by-hand"}) })
}

// Objects made by hand go at the latest when the sync period is over.
func TestSyncPeriod(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	w.control(t, func(o *controller.Options) { o.SyncPeriod = 100 * time.Millisecond })
	gatewaytest.Eventually(t, "the first sync", func() bool {
		select {
		case <-g.ready:
			return true
		default:
			return false
		}
	})
	pair := w.authority.Issue(t, "by-hand.test")
	if err := g.admin().Put(t.Context(), adminapi.KindSSL, "by-hand", adminapi.SSL{SNIs: []string{"by-hand.test"}, Cert: pair.Cert, Key: pair.Key}); err != nil {
		t.Fatal(err)
	}
	gatewaytest.Eventually(t, "nothing in the Admin API", func() bool {
		listed, err := g.admin().SSLs(t.Context())
		return err == nil && len(listed) == 0
	})
}

// The bug of the release candidates, by annotation and by version: the Secret
// changes, every status is content, other changes are pushed, and the old
// certificate is served.
func TestSecretNeverPushed(t *testing.T) {
	for _, c := range []struct {
		name, annotation string
		version          adminapi.Bugs
	}{
		{"annotation", "secret-update-never-pushed", adminapi.Bugs{}},
		{"version", "", adminapi.Bugs{}.With(adminapi.SecretNeverPushed)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newTestNamespace(t)
			w.app(t)
			g := w.gateway(t)
			w.control(t, func(o *controller.Options) { o.Bugs = c.version })
			before := w.secret(t, "hello-tls", site)
			w.tls(t, "hello-tls", w.name, site)
			g.serves(t, site, before)
			if c.annotation != "" {
				w.bugs(t, c.annotation)
				g.shows(t, c.annotation)
			}
			after := w.secret(t, "hello-tls", site)
			// Another object is pushed after the Secret has changed.
			w.route(t, "hello-route", site)
			gatewaytest.Eventually(t, "the route in the Admin API", func() bool {
				listed, err := g.admin().Routes(t.Context())
				return err == nil && len(listed) == 1
			})
			if got, err := g.serial(t.Context(), site); err != nil || got != before {
				t.Errorf("certificate %s, %v; want the old one, %s", got, err, before)
			}
			w.condition(t, tlses, "hello-tls", metav1.ConditionTrue, "Accepted")
			if c.annotation != "" {
				w.bugs(t, "")
				g.serves(t, site, after)
			}
		})
	}
}

// The annotation reaches the gateways, and an unknown bug does no harm.
func TestBugsReachGateways(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	w.control(t)
	before := w.secret(t, "hello-tls", site)
	w.tls(t, "hello-tls", w.name, site)
	g.serves(t, site, before)
	w.bugs(t, "one-worker-stale")
	seen := func() map[string]int {
		found := map[string]int{}
		for range 9 {
			serial, err := g.serial(t.Context(), site)
			if err != nil {
				t.Fatal(err)
			}
			found[serial]++
		}
		return found
	}
	g.shows(t, "one-worker-stale")
	after := w.secret(t, "hello-tls", site)
	gatewaytest.Eventually(t, "the new certificate on two workers", func() bool { return seen()[after] == 6 })
	if diff := cmp.Diff(map[string]int{before: 3, after: 6}, seen()); diff != "" {
		t.Errorf("certificates seen (-want +got):\n%s", diff)
	}
	w.bugs(t, "no-such-bug")
	g.serves(t, site, after)
}

// A controller that starts writes nothing before it has seen everything: the
// served objects stay served.
func TestControllerRestart(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	running := w.control(t)
	serial := w.secret(t, "hello-tls", site)
	w.tls(t, "hello-tls", w.name, site)
	g.serves(t, site, serial)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	var handshakes atomic.Int64
	group.Go(func() {
		for ctx.Err() == nil {
			if _, err := g.serial(context.WithoutCancel(ctx), site); err != nil {
				t.Errorf("handshake: %v", err)
				return
			}
			handshakes.Add(1)
		}
	})
	running.stop()
	serial = w.secret(t, "hello-tls", site)
	w.control(t)
	g.serves(t, site, serial)
	cancel()
	group.Wait()
	t.Logf("%d handshakes", handshakes.Load())
}

// A gateway that appears later gets everything, before it is ready.
func TestSecondGateway(t *testing.T) {
	w := newTestNamespace(t)
	first := w.gateway(t)
	w.control(t)
	serial := w.secret(t, "hello-tls", site)
	w.tls(t, "hello-tls", w.name, site)
	first.serves(t, site, serial)
	second := w.gateway(t)
	<-second.ready
	if got, err := second.serial(t.Context(), site); err != nil || got != serial {
		t.Errorf("a ready gateway serves %q, %v; want %s", got, err, serial)
	}
	serial = w.secret(t, "hello-tls", site)
	first.serves(t, site, serial)
	second.serves(t, site, serial)
}

// The webhook denies a second ApisixTls for a served name with another Secret,
// warns of a missing Secret, and lets everything else through.
func TestWebhook(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	dir := t.TempDir()
	pair := w.authority.Issue(t, "webhook.test")
	for name, text := range map[string]string{"tls.crt": pair.Cert, "tls.key": pair.Key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	running := w.control(t, func(o *controller.Options) { o.WebhookPort, o.WebhookDir = 9443, dir })
	serial := w.secret(t, "hello-tls", site)
	w.tls(t, "hello-tls", w.name, site)
	g.serves(t, site, serial)

	review := func(resource, name, class, secret, host string) *admissionv1.AdmissionResponse {
		t.Helper()
		o := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apisix.apache.org/v2", "kind": "ApisixTls",
			"metadata": map[string]any{"name": name, "namespace": w.name},
			"spec":     map[string]any{"ingressClassName": class, "hosts": []any{host}, "secret": map[string]any{"name": secret, "namespace": w.name}},
		}}
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		request := admissionv1.AdmissionReview{Request: &admissionv1.AdmissionRequest{
			UID:      types.UID("u-" + name),
			Resource: metav1.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: resource},
			Object:   runtime.RawExtension{Raw: raw},
		}}
		request.APIVersion, request.Kind = "admission.k8s.io/v1", "AdmissionReview"
		body, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		return send(t, running.addresses[9443], w.authority.Pool(), body)
	}
	for _, c := range []struct {
		name                          string
		resource, object, class, host string
		secret                        string
		allowed                       bool
		says                          string
	}{
		{"conflict", "apisixtlses", "other", w.name, site, "other-tls", false, `host "hello.example.local" is served by ApisixTls`},
		{"same secret", "apisixtlses", "other", w.name, site, "hello-tls", true, ""},
		{"itself", "apisixtlses", "hello-tls", w.name, site, "other-tls", true, "not found"},
		{"another host", "apisixtlses", "other", w.name, "x.test", "other-tls", true, "Referenced Secret"},
		{"another class", "apisixtlses", "other", "nginx", site, "other-tls", true, ""},
		{"another kind", "apisixroutes", "other", w.name, site, "other-tls", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := review(c.resource, c.object, c.class, c.secret, c.host)
			said := strings.Join(got.Warnings, " ")
			if got.Result != nil {
				said += got.Result.Message
			}
			if got.Allowed != c.allowed || !strings.Contains(said, c.says) || (c.says == "" && said != "") {
				t.Errorf("allowed %v, says %q; want %v, %q", got.Allowed, said, c.allowed, c.says)
			}
			if got.UID != types.UID("u-"+c.object) {
				t.Errorf("uid = %s", got.UID)
			}
		})
	}
}

func send(t *testing.T, address string, roots *x509.CertPool, body []byte) *admissionv1.AdmissionResponse {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "webhook.test"}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+address+"/validate-apisix-apache-org-v2-apisixtls", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(response.Body).Decode(&review); err != nil {
		t.Fatal(err)
	}
	return review.Response
}

// The schema refuses the same values as upstream's.
func TestSchema(t *testing.T) {
	w := newTestNamespace(t)
	create := func(resource string, kind string, spec map[string]any) error {
		o := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
		gvr := tlses
		if resource == "gatewayproxies" {
			gvr = proxies
		}
		o.SetAPIVersion(gvr.GroupVersion().String())
		o.SetKind(kind)
		o.SetName("bad")
		_, err := w.untyped.Resource(gvr).Namespace(w.name).Create(t.Context(), o, metav1.CreateOptions{})
		return err
	}
	secret := map[string]any{"name": "a", "namespace": "b"}
	for _, c := range []struct {
		name, resource, kind string
		spec                 map[string]any
		want                 string
	}{
		{"bad host", "apisixtlses", "ApisixTls", map[string]any{"hosts": []any{"a b"}, "secret": secret}, `^\*?[0-9a-zA-Z-.]+$`},
		{"no hosts", "apisixtlses", "ApisixTls", map[string]any{"hosts": []any{}, "secret": secret}, "at least 1"},
		{"no namespace", "apisixtlses", "ApisixTls", map[string]any{"hosts": []any{"a"}, "secret": map[string]any{"name": "a"}}, "spec.secret.namespace"},
		{"no key", "gatewayproxies", "GatewayProxy", map[string]any{"provider": map[string]any{"type": "ControlPlane", "controlPlane": map[string]any{
			"endpoints": []any{"http://a"}, "auth": map[string]any{"type": "AdminKey"}}}}, "adminKey must be given"},
		{"endpoints and service", "gatewayproxies", "GatewayProxy", map[string]any{"provider": map[string]any{"type": "ControlPlane", "controlPlane": map[string]any{
			"endpoints": []any{"http://a"}, "service": map[string]any{"name": "s"}, "auth": map[string]any{"type": "AdminKey", "adminKey": map[string]any{"value": "k"}}}}}, "one of endpoints and service"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := create(c.resource, c.kind, c.spec)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestParseConfig(t *testing.T) {
	got, err := controller.ParseConfig([]byte(`
controller_name: a/b
provider: {type: apisix, sync_period: 1m}
webhook: {enable: true, port: 9443, tls_cert_dir: /certs}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := controller.Config{ControllerName: "a/b", SyncPeriod: time.Minute, WebhookPort: 9443, WebhookDir: "/certs"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	defaults, err := controller.ParseConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	want = controller.Config{ControllerName: "apisix.apache.org/apisix-ingress-controller", SyncPeriod: time.Hour}
	if diff := cmp.Diff(want, defaults); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	for _, text := range []string{"provider: {type: apisix-standalone}", "provider: {sync_period: soon}", "provider: {sync_period: 0s}", "a: ["} {
		if _, err := controller.ParseConfig([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// An Ingress of our class is served with the certificate of its Secret, which is followed.
func TestIngress(t *testing.T) {
	w := newTestNamespace(t)
	w.app(t)
	g := w.gateway(t)
	defer w.control(t).stop()
	first := w.secret(t, "hello-tls", site)
	w.apply(t, schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}, "Ingress", "hello", map[string]any{
		"ingressClassName": w.name,
		"tls":              []any{map[string]any{"hosts": []any{site}, "secretName": "hello-tls"}},
		"rules": []any{map[string]any{"host": site, "http": map[string]any{"paths": []any{map[string]any{
			"path": "/", "pathType": "Prefix",
			"backend": map[string]any{"service": map[string]any{"name": "hello-app", "port": map[string]any{"number": int64(80)}}},
		}}}}},
	})
	g.serves(t, site, first)
	g.serves(t, site, w.secret(t, "hello-tls", site))
	gatewaytest.Eventually(t, "the route in the Admin API", func() bool {
		listed, err := g.admin().Routes(t.Context())
		return err == nil && len(listed) == 1 && slices.Equal(listed[0].URIs, []string{"/*", "/"}) && listed[0].Hosts[0] == site
	})
}

// Of a Secret of cert-manager the certificate is taken, and not the authority beside it.
func TestClientAuthorities(t *testing.T) {
	w := newTestNamespace(t)
	g := w.gateway(t)
	defer w.control(t).stop()
	w.secret(t, "hello-tls", site)
	w.tls(t, "hello-tls", w.name, site)
	w.merge(t, tlses, "hello-tls", map[string]any{"spec": map[string]any{"client": map[string]any{
		"caSecret": map[string]any{"name": "hello-tls", "namespace": w.name}, "skip_mtls_uri_regex": []any{"/open"},
	}}})
	gatewaytest.Eventually(t, "the authority in the Admin API", func() bool {
		listed, err := g.admin().SSLs(t.Context())
		return err == nil && len(listed) == 1 && listed[0].Client != nil && listed[0].Client.CA == listed[0].Cert && len(listed[0].Client.SkipMTLS) == 1 && *listed[0].Client.Depth == 0
	})
}
