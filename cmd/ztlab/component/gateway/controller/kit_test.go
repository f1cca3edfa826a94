package controller_test

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ztplan/ztplan/cmd/ztlab/charts/charttest"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/controller"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/dataplane"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/gatewaytest"
)

var (
	tlses   = schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: "apisixtlses"}
	routes  = schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: "apisixroutes"}
	proxies = schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v1alpha1", Resource: "gatewayproxies"}
)

// A cluster is the API server of a lab, with the chart's CRDs and the rights
// that the chart gives the controller.
type cluster struct {
	admin, controller *rest.Config
	typed             kubernetes.Interface
	untyped           dynamic.Interface
}

// The one cluster of this package's tests; nil when there is none.
var theCluster *cluster

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	_ = os.Getenv("ZTLAB_BUILD") // Go keeps results for the environment that a test reads
	ztlab, err := exec.LookPath(cmp.Or(os.Getenv("ZTLAB"), filepath.Join("..", "..", "..", "..", "..", "bin", "ztlab")))
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests of the controller are skipped: they need an API server, and there is no bin/ztlab: run 'make build'")
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "ztlab-controller-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	kubeconfig, stop, err := serve(ztlab, dir)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s serve: %v\n", ztlab, err)
		return 1
	}
	defer stop()
	theCluster, err = connect(kubeconfig)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// serve starts a lab that ends with this process in any case.
func serve(ztlab, dir string) (kubeconfig string, stop func(), err error) {
	log, err := os.Create(filepath.Join(dir, "serve.log"))
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(ztlab, "serve", "--parent-pipe", "--lab-dir", dir)
	cmd.Stderr = log
	hold, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		hold.Close()
		if err := cmd.Wait(); err != nil {
			fmt.Fprintf(os.Stderr, "%s serve: %v\n", ztlab, err)
		}
		log.Close()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		said, _ := os.ReadFile(log.Name())
		return "", nil, fmt.Errorf("%w\n%s", err, said)
	}
	return strings.TrimSpace(line), stop, nil
}

func connect(kubeconfig string) (*cluster, error) {
	admin, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	admin.QPS, admin.Burst = 100, 200
	c := &cluster{admin: admin}
	if c.typed, err = kubernetes.NewForConfig(admin); err != nil {
		return nil, err
	}
	c.untyped, err = dynamic.NewForConfig(admin)
	return c, err
}

// lab returns the cluster, with the chart's CRDs, ServiceAccount and roles.
func lab(t *testing.T) *cluster {
	t.Helper()
	c := theCluster
	if c == nil {
		t.Skip("there is no bin/ztlab to take an API server from")
	}
	if c.controller != nil {
		return c
	}
	const namespace = "ingress-apisix"
	c.namespace(t, namespace)
	archive := charttest.Find(t, "apisix", "2.14.0")
	for _, crd := range charttest.CRDs(t, archive) {
		c.create(t, schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}, crd)
	}
	resources := map[string]schema.GroupVersionResource{
		"ServiceAccount":     {Version: "v1", Resource: "serviceaccounts"},
		"ClusterRole":        {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
		"ClusterRoleBinding": {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
	}
	for _, o := range charttest.MustRender(t, archive, "apisix", namespace, "ingress-controller: {enabled: true}") {
		if resource, ok := resources[o.GetKind()]; ok {
			c.create(t, resource, o)
		}
	}
	for _, resource := range []schema.GroupVersionResource{tlses, routes, proxies, gatewayClasses, gateways, httpRoutes, referenceGrants} {
		gatewaytest.Eventually(t, resource.Resource+" being served", func() bool {
			_, err := c.untyped.Resource(resource).List(t.Context(), metav1.ListOptions{})
			return err == nil
		})
	}
	expiry := int64(3600)
	token, err := c.typed.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "apisix",
		&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &expiry}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.controller = rest.AnonymousClientConfig(c.admin)
	c.controller.BearerToken = token.Status.Token
	c.controller.QPS, c.controller.Burst = 100, 200
	return c
}

func (c *cluster) create(t *testing.T, resource schema.GroupVersionResource, o *unstructured.Unstructured) {
	t.Helper()
	var client dynamic.ResourceInterface = c.untyped.Resource(resource)
	if o.GetNamespace() != "" {
		client = c.untyped.Resource(resource).Namespace(o.GetNamespace())
	}
	if _, err := client.Create(t.Context(), o, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatalf("%s %s: %v", o.GetKind(), o.GetName(), err)
	}
}

func (c *cluster) namespace(t *testing.T, name string) {
	t.Helper()
	_, err := c.typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// A testNamespace is a namespace of one test with an IngressClass, a GatewayProxy, the
// Service of the gateways' Admin API, and an authority. Its controller name is
// its own, so that the controllers of other tests pass its objects over.
type testNamespace struct {
	*cluster
	name      string // of the namespace, the IngressClass and the controller
	authority *gatewaytest.Authority

	mu        sync.Mutex
	addresses map[string]string // pod address -> loopback address
	pods      []string          // of the gateways
}

const (
	adminKey  = "the-admin-key"
	adminPort = 9180
	tlsPort   = 9443
	httpPort  = 9080
)

func newTestNamespace(t *testing.T) *testNamespace {
	t.Helper()
	c := lab(t)
	prefix := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	namespace, err := c.typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix + "-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	name := namespace.Name
	w := &testNamespace{cluster: c, name: name, authority: gatewaytest.NewAuthority(t), addresses: map[string]string{}}
	t.Cleanup(func() {
		c.typed.NetworkingV1().IngressClasses().Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{})
	})
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "apisix-admin"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "apisix-admin", Port: adminPort}}},
	}
	if _, err := c.typed.CoreV1().Services(name).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.apply(t, proxies, "GatewayProxy", "apisix-config", map[string]any{"provider": map[string]any{
		"type": "ControlPlane",
		"controlPlane": map[string]any{
			"service": map[string]any{"name": "apisix-admin", "port": int64(adminPort)},
			"auth":    map[string]any{"type": "AdminKey", "adminKey": map[string]any{"value": adminKey}},
		},
	}})
	w.class(t, name, "apisix-config")
	return w
}

func (w *testNamespace) controllerName() string { return "ztlab.test/" + w.name }

// class makes an IngressClass that leads to a GatewayProxy; "" to none.
func (w *testNamespace) class(t *testing.T, name, proxy string) {
	t.Helper()
	class := &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       networkingv1.IngressClassSpec{Controller: w.controllerName()},
	}
	if proxy != "" {
		group, scope := "apisix.apache.org", "Namespace"
		class.Spec.Parameters = &networkingv1.IngressClassParametersReference{APIGroup: &group, Kind: "GatewayProxy", Name: proxy, Namespace: &w.name, Scope: &scope}
	}
	if _, err := w.typed.NetworkingV1().IngressClasses().Create(t.Context(), class, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// apply creates an object in the test's namespace, or replaces its spec.
func (w *testNamespace) apply(t *testing.T, resource schema.GroupVersionResource, kind, name string, spec map[string]any) {
	t.Helper()
	client := w.untyped.Resource(resource).Namespace(w.name)
	o := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	o.SetAPIVersion(resource.GroupVersion().String())
	o.SetKind(kind)
	o.SetName(name)
	_, err := client.Create(t.Context(), o, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		w.merge(t, resource, name, map[string]any{"spec": spec})
		return
	}
	if err != nil {
		t.Fatal(err)
	}
}

// merge patches an object in the test's namespace.
func (w *testNamespace) merge(t *testing.T, resource schema.GroupVersionResource, name string, change map[string]any) {
	t.Helper()
	patch, err := json.Marshal(change)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.untyped.Resource(resource).Namespace(w.name).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// tls applies an ApisixTls for a Secret of the same name.
func (w *testNamespace) tls(t *testing.T, name, class string, hosts ...any) {
	t.Helper()
	w.apply(t, tlses, "ApisixTls", name, map[string]any{
		"ingressClassName": class, "hosts": hosts,
		"secret": map[string]any{"name": name, "namespace": w.name},
	})
}

// route applies an ApisixRoute with one rule to Service hello-app.
func (w *testNamespace) route(t *testing.T, name string, hosts ...any) {
	t.Helper()
	w.apply(t, routes, "ApisixRoute", name, map[string]any{
		"ingressClassName": w.name,
		"http":             []any{rule("hello", hosts...)},
	})
}

func rule(name string, hosts ...any) map[string]any {
	return map[string]any{
		"name":     name,
		"match":    map[string]any{"hosts": hosts, "paths": []any{"/*"}},
		"backends": []any{map[string]any{"serviceName": "hello-app", "servicePort": int64(80)}},
	}
}

// secret writes a new certificate into a Secret, and returns its serial number.
func (w *testNamespace) secret(t *testing.T, name string, hosts ...string) string {
	t.Helper()
	pair := w.authority.Issue(t, hosts...)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{"tls.crt": []byte(pair.Cert), "tls.key": []byte(pair.Key)},
	}
	_, err := w.typed.CoreV1().Secrets(w.name).Create(t.Context(), secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = w.typed.CoreV1().Secrets(w.name).Update(t.Context(), secret, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return pair.Serial(t)
}

// bugs sets the annotation on the GatewayProxy.
func (w *testNamespace) bugs(t *testing.T, text string) {
	t.Helper()
	w.merge(t, proxies, "apisix-config", map[string]any{"metadata": map[string]any{"annotations": map[string]any{adminapi.BugsAnnotation: text}}})
}

// conditions are those of an object, nil when it has none.
func (w *testNamespace) conditions(t *testing.T, resource schema.GroupVersionResource, name string) []metav1.Condition {
	t.Helper()
	o, err := w.untyped.Resource(resource).Namespace(w.name).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o.Object["status"])
	if err != nil {
		t.Fatal(err)
	}
	var status struct{ Conditions []metav1.Condition }
	if err := json.Unmarshal(text, &status); err != nil {
		t.Fatal(err)
	}
	return status.Conditions
}

// condition waits for the one condition of an object to have a status and a
// reason, and returns it.
func (w *testNamespace) condition(t *testing.T, resource schema.GroupVersionResource, name string, status metav1.ConditionStatus, reason string) metav1.Condition {
	t.Helper()
	var found metav1.Condition
	gatewaytest.Eventually(t, fmt.Sprintf("%s with Accepted=%s, %s", name, status, reason), func() bool {
		conditions := w.conditions(t, resource, name)
		if len(conditions) > 1 {
			t.Fatalf("%s has %d conditions, want one", name, len(conditions))
		}
		c := meta.FindStatusCondition(conditions, "Accepted")
		if c == nil || c.Status != status || c.Reason != reason {
			return false
		}
		found = *c
		return true
	})
	return found
}

// dial reaches the pods of the test.
func (w *testNamespace) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	real, ok := w.addresses[address]
	w.mu.Unlock()
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("no pod at " + address)}
	}
	return (&net.Dialer{}).DialContext(ctx, network, real)
}

// slice lists the pods behind a Service.
func (w *testNamespace) slice(t *testing.T, service, port string, number int32, pods []string) {
	t.Helper()
	ready := false // the controller writes to gateways that are not ready
	if service != "apisix-admin" {
		ready = true
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: service + "-pods", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &port, Port: &number}},
	}
	for _, pod := range pods {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{pod}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}})
	}
	client := w.typed.DiscoveryV1().EndpointSlices(w.name)
	_, err := client.Create(t.Context(), slice, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = client.Update(t.Context(), slice, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// app makes Service hello-app with one pod.
func (w *testNamespace) app(t *testing.T) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "hello") }))
	t.Cleanup(server.Close)
	w.mu.Lock()
	w.addresses["10.99.1.1:8080"] = server.Listener.Addr().String()
	w.mu.Unlock()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "hello-app"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	if _, err := w.typed.CoreV1().Services(w.name).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.slice(t, "hello-app", "", 8080, []string{"10.99.1.1"})
}

// A gateway is a data plane of the test.
type gateway struct {
	addresses map[int]string
	namespace *testNamespace
	ready     chan struct{}
}

// gateway starts one more gateway behind the Admin API's Service.
func (w *testNamespace) gateway(t *testing.T) *gateway {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	listening, ended := make(chan map[int]string, 1), make(chan error, 1)
	g := &gateway{namespace: w, ready: make(chan struct{})}
	dir := t.TempDir()
	go func() {
		ended <- dataplane.Run(ctx, dataplane.Options{
			Config: dataplane.Config{
				HTTPPort: httpPort, TLSPort: tlsPort, AdminPort: adminPort, HTTP2: true, Workers: 3,
				Keys: []dataplane.Key{{Value: adminKey}},
			},
			Dir: dir, Server: "test-stand-in", Dial: w.dial, Log: quiet(), Pick: gatewaytest.InTurn(),
			Contact:   time.Hour, // a busy machine may keep the controller from writing for long
			Listening: func(addresses map[int]string) { listening <- addresses },
			Ready:     func() { close(g.ready) },
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("gateway: %v", err)
		}
	})
	select {
	case g.addresses = <-listening:
	case err := <-ended:
		ended <- err
		t.Fatal(err)
	}
	w.mu.Lock()
	pod := fmt.Sprintf("10.99.0.%d", len(w.pods)+1)
	w.pods = append(w.pods, pod)
	w.addresses[fmt.Sprintf("%s:%d", pod, adminPort)] = g.addresses[adminPort]
	pods := w.pods
	w.mu.Unlock()
	w.slice(t, "apisix-admin", "apisix-admin", adminPort, pods)
	return g
}

// serial makes a verified handshake and returns the certificate's serial
// number.
func (g *gateway) serial(ctx context.Context, name string) (string, error) {
	dialer := tls.Dialer{Config: &tls.Config{ServerName: name, RootCAs: g.namespace.authority.Pool()}}
	conn, err := dialer.DialContext(ctx, "tcp", g.addresses[tlsPort])
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

// serves waits until each worker serves one certificate.
func (g *gateway) serves(t *testing.T, name, serial string) {
	t.Helper()
	gatewaytest.Eventually(t, "certificate "+serial+" on every worker", func() bool {
		for range 6 {
			if got, err := g.serial(t.Context(), name); err != nil || got != serial {
				return false
			}
		}
		return true
	})
}

func (g *gateway) admin() adminapi.Endpoint {
	return adminapi.Endpoint{Base: "http://" + g.addresses[adminPort], Key: adminKey, HTTP: http.DefaultClient}
}

// shows waits until the bugs are in effect.
func (g *gateway) shows(t *testing.T, bugs string) {
	t.Helper()
	gatewaytest.Eventually(t, "the gateway showing "+bugs, func() bool {
		state, err := g.admin().State(t.Context())
		return err == nil && state.Bugs.String() == bugs
	})
}

// A running is a controller under test.
type running struct {
	addresses map[int]string
	stop      func()
}

// control runs the controller until the test ends or stop is called, and
// returns when it has seen the cluster.
func (w *testNamespace) control(t *testing.T, change ...func(*controller.Options)) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan struct{}), make(chan error, 1)
	r := &running{}
	options := controller.Options{
		Config:     controller.Config{ControllerName: w.controllerName(), SyncPeriod: time.Hour},
		Kubernetes: w.controller,
		Dial:       w.dial,
		Log:        quiet(),
		Listening:  func(addresses map[int]string) { r.addresses = addresses },
		Ready: func(is bool, _ string) {
			if is {
				close(ready)
			}
		},
	}
	for _, do := range change {
		do(&options)
	}
	go func() { ended <- controller.Run(ctx, options) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("controller: %v", err)
		}
	})
	t.Cleanup(r.stop)
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("controller: %v", err)
	}
	return r
}

func quiet() *slog.Logger {
	if testing.Verbose() && os.Getenv("ZTLAB_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}
