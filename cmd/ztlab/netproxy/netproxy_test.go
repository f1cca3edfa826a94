package netproxy_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	"github.com/ztplan/ztplan/cmd/ztlab/netproxy"
)

// pods maps "ip:port" of a pod to the address that serves it.
type pods map[string]string

func (p pods) Lookup(ip string, port int) (string, bool) {
	addr, ok := p[fmt.Sprintf("%s:%d", ip, port)]
	return addr, ok
}

func service(ns, name, ip string, ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
		Spec:       corev1.ServiceSpec{ClusterIP: ip, ClusterIPs: []string{ip}, Ports: ports},
	}
}

type endpoint struct {
	ip, hostname        string
	ready, serving, end bool
}

func slice(svc *corev1.Service, portName string, port int32, endpoints ...endpoint) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: svc.Namespace, Name: svc.Name + "-" + portName,
			Labels: map[string]string{discoveryv1.LabelServiceName: svc.Name},
		},
		Ports: []discoveryv1.EndpointPort{{Name: &portName, Port: &port}},
	}
	for _, e := range endpoints {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{e.ip}, Hostname: &e.hostname,
			Conditions: discoveryv1.EndpointConditions{Ready: &e.ready, Serving: &e.serving, Terminating: &e.end},
		})
	}
	return s
}

// newDirectory returns a directory that has seen the objects.
func newDirectory(t *testing.T, p pods, objects ...runtime.Object) *netproxy.Directory {
	t.Helper()
	d := &netproxy.Directory{
		APIServer: "127.0.0.9:6443", AdvertiseAddress: "192.0.2.1",
		NodeAddress: "127.0.0.9", Kubelet: "127.0.0.1:10999", KubeletPort: 10250, Pods: p,
	}
	f := informers.NewSharedInformerFactory(fake.NewClientset(objects...), 0)
	if err := d.Watch(f); err != nil {
		t.Fatal(err)
	}
	f.Start(t.Context().Done())
	if !cache.WaitForCacheSync(t.Context().Done(), d.Synced) {
		t.Fatal("the directory did not sync")
	}
	return d
}

func TestResolve(t *testing.T) {
	api := service("default", "kubernetes", "10.96.0.1", corev1.ServicePort{Name: "https", Port: 443})
	vault := service("vault", "vault", "10.96.0.2",
		corev1.ServicePort{Name: "http", Port: 8200}, corev1.ServicePort{Name: "internal", Port: 8201})
	headless := service("vault", "vault-internal", corev1.ClusterIPNone, corev1.ServicePort{Name: "http", Port: 8200})
	empty := service("app", "empty", "10.96.0.3", corev1.ServicePort{Name: "http", Port: 80})
	draining := service("app", "draining", "10.96.0.4", corev1.ServicePort{Name: "http", Port: 80})
	alias := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "app", Name: "alias"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "vault.vault.svc.cluster.local"},
	}
	ready := endpoint{ip: "10.244.0.5", hostname: "vault-0", ready: true, serving: true}
	d := newDirectory(t,
		pods{"10.244.0.5:8200": "127.0.0.1:40001", "10.244.0.6:80": "127.0.0.1:40002", "10.244.0.7:80": "127.0.0.1:40003"},
		api, vault, headless, empty, draining, alias,
		slice(api, "https", 6443, endpoint{ip: "192.0.2.1", ready: true}),
		slice(vault, "http", 8200, ready), slice(headless, "http", 8200, ready),
		slice(draining, "http", 80,
			endpoint{ip: "10.244.0.6", serving: true, end: true}, endpoint{ip: "10.244.0.7"}),
	)
	tests := map[string]struct {
		addr, want string
		err        string // substring; the error also is ECONNREFUSED unless it is about a name
	}{
		"service, long name":                 {addr: "vault.vault.svc.cluster.local:8200", want: "127.0.0.1:40001"},
		"service, final dot":                 {addr: "vault.vault.svc.cluster.local.:8200", want: "127.0.0.1:40001"},
		"service, capitals":                  {addr: "Vault.Vault.SVC:8200", want: "127.0.0.1:40001"},
		"service, short name":                {addr: "vault.vault:8200", want: "127.0.0.1:40001"},
		"cluster IP":                         {addr: "10.96.0.2:8200", want: "127.0.0.1:40001"},
		"pod IP":                             {addr: "10.244.0.5:8200", want: "127.0.0.1:40001"},
		"pod name":                           {addr: "10-244-0-5.vault.pod.cluster.local:8200", want: "127.0.0.1:40001"},
		"headless":                           {addr: "vault-internal.vault.svc:8200", want: "127.0.0.1:40001"},
		"pod of a StatefulSet":               {addr: "vault-0.vault-internal.vault.svc.cluster.local:8200", want: "127.0.0.1:40001"},
		"API server by name":                 {addr: "kubernetes.default.svc:443", want: "127.0.0.9:6443"},
		"API server by cluster IP":           {addr: "10.96.0.1:443", want: "127.0.0.9:6443"},
		"API server by endpoint":             {addr: "192.0.2.1:6443", want: "127.0.0.9:6443"},
		"kubelet":                            {addr: "127.0.0.9:10250", want: "127.0.0.1:10999"},
		"node port":                          {addr: "127.0.0.9:30443", want: "127.0.0.9:30443"},
		"external name":                      {addr: "alias.app.svc:8200", want: "127.0.0.1:40001"},
		"terminating is better than nothing": {addr: "draining.app.svc:80", want: "127.0.0.1:40002"},

		"no such service":      {addr: "nobody.vault.svc:80", err: "lookup nobody.vault.svc: no such host"},
		"no such pod":          {addr: "vault-7.vault-internal.vault.svc.cluster.local:8200", err: "connection refused"},
		"outside":              {addr: "example.com:443", err: "no such host"},
		"outside IP":           {addr: "93.184.215.14:443", err: "connection refused"},
		"loopback is not us":   {addr: "127.0.0.1:22", err: "connection refused"},
		"no endpoints":         {addr: "empty.app.svc:80", err: `no endpoints available for service "app/empty"`},
		"no such port":         {addr: "vault.vault.svc:80", err: `service "vault/vault" has no port 80`},
		"port nobody serves":   {addr: "vault.vault.svc:8201", err: "no endpoints available"},
		"port is not a number": {addr: "vault.vault.svc:http", err: "is not a number"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := d.Resolve(tt.addr)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("Resolve(%s) = %v, %v, want error %q", tt.addr, got, err, tt.err)
				}
				return
			}
			if err != nil || len(got) != 1 || got[0] != tt.want {
				t.Errorf("Resolve(%s) = %v, %v, want %s", tt.addr, got, err, tt.want)
			}
		})
	}
}

func TestDialTriesEveryEndpoint(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const dead = "127.0.0.1:1" // no ordinary program may listen there, and no kernel gives the port away
	svc := service("app", "hello", "10.96.0.9", corev1.ServicePort{Name: "http", Port: 80})
	d := newDirectory(t, pods{"10.244.0.8:80": dead, "10.244.0.9:80": l.Addr().String()}, svc,
		slice(svc, "http", 80, endpoint{ip: "10.244.0.8", ready: true}, endpoint{ip: "10.244.0.9", ready: true}))
	for range 20 { // the order is random
		conn, err := d.Dial(t.Context(), "tcp", "hello.app.svc:80")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

func TestRefusedIsRecognised(t *testing.T) {
	d := newDirectory(t, nil)
	_, err := d.Dial(t.Context(), "tcp", "10.96.0.77:80")
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Dial: %v, want ECONNREFUSED", err)
	}
}

// newProxy returns a proxy in front of one HTTP server that is a pod.
func newProxy(t *testing.T, h http.Handler) (proxy *url.URL, target string) {
	t.Helper()
	backend := httptest.NewServer(h)
	t.Cleanup(backend.Close)
	svc := service("app", "hello", "10.96.0.9", corev1.ServicePort{Name: "http", Port: 80})
	d := newDirectory(t, pods{"10.244.0.9:8080": backend.Listener.Addr().String()}, svc,
		slice(svc, "http", 8080, endpoint{ip: "10.244.0.9", ready: true}))
	server := netproxy.NewServer(d, "", log.New(io.Discard, "", 0))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return &url.URL{Scheme: "http", Host: l.Addr().String()}, "http://hello.app.svc"
}

// Short names mean the namespace of the pod that asks, as its resolver finds them.
func TestShortNames(t *testing.T) {
	d := newDirectory(t, nil, service("vault", "vault", "10.96.0.2"), service("vault", "vault-internal", corev1.ClusterIPNone), service("app", "vault", "10.96.0.3"))
	for _, tt := range []struct{ namespace, addr, want string }{
		{"vault", "vault:8200", "vault.vault.svc:8200"},
		{"vault", "vault-0.vault-internal:8201", "vault-0.vault-internal.vault.svc:8201"},
		{"app", "vault-0.vault-internal:8201", "vault-0.vault-internal:8201"},
		{"app", "vault.vault:8200", "vault.vault.app.svc:8200"}, // search comes first
		{"lab", "vault.vault:8200", "vault.vault:8200"},
		{"vault", "10.96.0.2:8200", "10.96.0.2:8200"},
		{"", "vault:8200", "vault:8200"},
	} {
		if got := d.Qualify(tt.namespace, tt.addr); got != tt.want {
			t.Errorf("%s of namespace %q is %s, want %s", tt.addr, tt.namespace, got, tt.want)
		}
	}
}

func TestProxyPlainHTTP(t *testing.T) {
	var host string
	proxy, target := newProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host = r.Host
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL, body)
	}))
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	resp, err := client.Post(target+"/v1/x?a=b", "text/plain", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, _ := io.ReadAll(resp.Body)
	if want := "POST /v1/x?a=b body"; resp.StatusCode != http.StatusTeapot || string(got) != want {
		t.Errorf("answer = %d %q, want %d %q", resp.StatusCode, got, http.StatusTeapot, want)
	}
	if host != "hello.app.svc" {
		t.Errorf("the target saw Host %q, want hello.app.svc", host)
	}
	resp, err = client.Get("http://nobody.app.svc/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, _ = io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadGateway || !bytes.Contains(got, []byte("no such host")) {
		t.Errorf("unknown host: %d %q, want 502 with the reason", resp.StatusCode, got)
	}
}

// dialConnect asks a proxy for a tunnel as kube-apiserver does.
func dialConnect(t *testing.T, proxy *url.URL, addr string) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", proxy.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", addr)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, resp
}

func TestConnect(t *testing.T) {
	proxy, _ := newProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "got %s", body)
	}))
	conn, resp := dialConnect(t, proxy, "10.96.0.9:80")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("CONNECT: %s, want 200", resp.Status)
	}
	// A client that closes its half still gets the answer.
	fmt.Fprint(conn, "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(answer), "got hi") {
		t.Errorf("through the tunnel: %q, %v, want the answer", answer, err)
	}
}

func TestConnectSaysWhy(t *testing.T) {
	proxy, _ := newProxy(t, http.NotFoundHandler())
	tests := map[string]struct {
		status int
		reason string
	}{
		"10.96.0.66:443":     {http.StatusBadGateway, "connect: connection refused"},
		"nobody.app.svc:443": {http.StatusNotFound, "no such host"},
	}
	for addr, tt := range tests {
		_, resp := dialConnect(t, proxy, addr)
		if resp.StatusCode != tt.status || !strings.Contains(resp.Status, tt.reason) {
			t.Errorf("CONNECT %s: %q, want %d and %q in the reason phrase", addr, resp.Status, tt.status, tt.reason)
		}
	}
}

func TestRefusalIsLoggedOnce(t *testing.T) {
	var out bytes.Buffer
	server := httptest.NewServer(netproxy.NewServer(newDirectory(t, nil), "", log.New(&out, "", 0)).Handler)
	defer server.Close()
	proxy, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		dialConnect(t, proxy, "10.96.0.66:443")
	}
	server.Close()
	if got := strings.Count(out.String(), "10.96.0.66:443 cannot be reached"); got != 1 {
		t.Errorf("three refusals were logged %d times, want once:\n%s", got, out.String())
	}
}

func TestProxyIsNoWebServer(t *testing.T) {
	proxy, _ := newProxy(t, http.NotFoundHandler())
	resp, err := http.Get(proxy.String() + "/index.html")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a relative URL: %s, want 400", resp.Status)
	}
}

func TestSpliceClosesBothWhenOneBreaks(t *testing.T) {
	a, aFar := net.Pipe()
	b, bFar := net.Pipe()
	done := make(chan struct{})
	go func() { netproxy.Splice(aFar, bFar); close(done) }()
	a.Close()
	if _, err := b.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the other end reads %v, want EOF", err)
	}
	<-done
}

// TestPassword: a port of loopback is open to every user of the machine, so the
// proxy wants a password there, and none on a Unix socket in a private directory.
func TestPassword(t *testing.T) {
	server := netproxy.NewServer(newDirectory(t, nil), "right", log.New(io.Discard, "", 0))
	containers, apiServer, err := netproxy.Listen("127.0.0.1", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go server.Serve(containers)
	go server.Serve(apiServer)
	for name, tt := range map[string]struct {
		listener net.Listener
		user     *url.Userinfo
		refused  bool
	}{
		"none":          {containers, nil, true},
		"wrong":         {containers, url.UserPassword("lab", "wrong"), true},
		"right":         {containers, url.UserPassword("lab", "right"), false},
		"none, private": {apiServer, nil, false},
	} {
		client := &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "proxy.test", User: tt.user}),
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return net.Dial(tt.listener.Addr().Network(), tt.listener.Addr().String())
			},
		}}
		resp, err := client.Get("http://10.0.0.1:80/")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		resp.Body.Close()
		if got := resp.StatusCode == http.StatusProxyAuthRequired; got != tt.refused {
			t.Errorf("%s: plain: %s", name, resp.Status)
		}
		_, err = client.Get("https://10.0.0.1:443/")
		if got := err != nil && strings.Contains(err.Error(), "Proxy Authentication Required"); got != tt.refused {
			t.Errorf("%s: CONNECT: %v", name, err)
		}
	}
}
