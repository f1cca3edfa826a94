package dataplane_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/dataplane"
)

// oneWorker makes an update visible to every request as soon as it is to one.
func oneWorker(o *dataplane.Options) { o.Workers = 1 }

func TestRouting(t *testing.T) {
	gateway := start(t, t.TempDir(), oneWorker)
	routes := []adminapi.Route{
		{ID: "hello", Hosts: []string{"hello.example.local"}, URIs: []string{"/*"}},
		{ID: "api", Hosts: []string{"hello.example.local"}, URIs: []string{"/api/*"}},
		{ID: "exact", Hosts: []string{"hello.example.local"}, URIs: []string{"/api/one"}},
		{ID: "write", Hosts: []string{"hello.example.local"}, URIs: []string{"/write"}, Methods: []string{"POST"}},
		{ID: "wild", Hosts: []string{"*.example.local"}, URIs: []string{"/*"}},
		{ID: "low", Hosts: []string{"two.test"}, URIs: []string{"/*"}, Priority: 1},
		{ID: "high", Hosts: []string{"two.test"}, URIs: []string{"/*"}, Priority: 2},
		{ID: "any", URIs: []string{"/any"}},
		{ID: "last", Hosts: []string{"last.test"}, URIs: []string{"/*"}},
	}
	for _, route := range routes {
		route.Upstream = upstream(backend(t, says(route.ID)))
		gateway.put(t, adminapi.KindRoute, route.ID, route)
	}
	eventually(t, "the last route", func() bool {
		_, body := gateway.plain(t, http.MethodGet, "last.test", "/")
		return body == "last"
	})
	const missing = "{\"error_msg\":\"404 Route Not Found\"}\n"
	for _, c := range []struct{ method, host, path, want string }{
		{"GET", "hello.example.local", "/", "hello"},
		{"GET", "hello.example.local:30443", "/", "hello"},
		{"GET", "HELLO.example.local", "/x/y", "hello"},
		{"GET", "hello.example.local", "/api/two", "api"},
		{"GET", "hello.example.local", "/api/one", "exact"},
		{"POST", "hello.example.local", "/write", "write"},
		{"GET", "hello.example.local", "/write", "hello"},
		{"GET", "other.example.local", "/", "wild"},
		{"GET", "two.test", "/", "high"},
		{"GET", "nowhere.test", "/any", "any"},
		{"GET", "nowhere.test", "/", missing},
		{"GET", "example.local", "/", missing},
	} {
		t.Run(c.method+" "+c.host+c.path, func(t *testing.T) {
			response, body := gateway.plain(t, c.method, c.host, c.path)
			if body != c.want {
				t.Errorf("body = %q, want %q", body, c.want)
			}
			// As seen on APISIX 3.16.0: a 404 is JSON in a text/plain.
			status, contentType := http.StatusOK, "text/plain; charset=utf-8"
			if c.want == missing {
				status = http.StatusNotFound
			}
			if response.StatusCode != status || response.Header.Get("Content-Type") != contentType {
				t.Errorf("status, type = %d, %s; want %d, %s", response.StatusCode, response.Header.Get("Content-Type"), status, contentType)
			}
			if got := response.Header.Get("Server"); got != "test-stand-in" {
				t.Errorf("Server = %q", got)
			}
		})
	}
}

// closed is a node that nothing listens on: no ordinary program may, and no kernel
// gives the port away.
var closed = adminapi.Node{Host: "127.0.0.1", Port: 1, Weight: 1}

func TestUpstreamFailures(t *testing.T) {
	gateway := start(t, t.TempDir(), oneWorker)
	for _, c := range []struct {
		name     string
		upstream *adminapi.Upstream
		status   int
		body     string
	}{
		{"no-nodes", upstream(), 503, "{\"error_msg\":\"503 Service Unavailable\"}\n"},
		{"refused", upstream(closed), 502, "{\"error_msg\":\"502 Bad Gateway\"}\n"},
		{"one-of-two", upstream(closed, backend(t, says("alive"))), 200, "alive"},
		{"weight-zero", &adminapi.Upstream{Nodes: []adminapi.Node{{Host: "127.0.0.1", Port: 1, Weight: 0}}}, 503, "{\"error_msg\":\"503 Service Unavailable\"}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			gateway.put(t, adminapi.KindRoute, c.name, adminapi.Route{Hosts: []string{c.name}, URIs: []string{"/*"}, Upstream: c.upstream})
			eventually(t, "the route", func() bool {
				response, _ := gateway.plain(t, http.MethodGet, c.name, "/")
				return response.StatusCode != http.StatusNotFound
			})
			for range 4 { // every node has its turn
				response, body := gateway.plain(t, http.MethodGet, c.name, "/")
				if response.StatusCode != c.status || body != c.body {
					t.Errorf("answer = %d %q, want %d %q", response.StatusCode, body, c.status, c.body)
				}
			}
		})
	}
}

func TestWeights(t *testing.T) {
	gateway := start(t, t.TempDir(), oneWorker)
	one, three := backend(t, says("one")), backend(t, says("three"))
	three.Weight = 3
	gateway.put(t, adminapi.KindRoute, "weights", adminapi.Route{URIs: []string{"/*"}, Upstream: upstream(one, three)})
	eventually(t, "the route", func() bool {
		response, _ := gateway.plain(t, http.MethodGet, "x", "/")
		return response.StatusCode == http.StatusOK
	})
	got := map[string]int{}
	for range 40 {
		_, body := gateway.plain(t, http.MethodGet, "x", "/")
		got[body]++
	}
	if diff := cmp.Diff(map[string]int{"one": 10, "three": 30}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// The request as the server behind the gateway gets it.
func TestForwardedRequest(t *testing.T) {
	gateway := start(t, t.TempDir(), oneWorker)
	seen := make(chan string, 1)
	node := backend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- fmt.Sprintf("%s %s host=%s for=%s proto=%s port=%s real=%s body=%s",
			r.Method, r.RequestURI, r.Host, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Port"), r.Header.Get("X-Real-Ip"), body)
		w.Header().Set("Server", "someone else")
	}))
	gateway.put(t, adminapi.KindRoute, "r", adminapi.Route{URIs: []string{"/*"}, Upstream: upstream(node)})
	eventually(t, "the route", func() bool {
		response, _ := gateway.plain(t, http.MethodGet, "x", "/")
		return response.StatusCode == http.StatusOK
	})
	<-seen
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+gateway.addresses[httpPort]+"/a%2Fb?q=1&r=%20", strings.NewReader("text"))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "hello.example.local"
	response, _ := do(t, http.DefaultClient, request)
	if diff := cmp.Diff("PUT /a%2Fb?q=1&r=%20 host=hello.example.local for=127.0.0.1 proto=http port=9080 real=127.0.0.1 body=text", <-seen); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if got := response.Header.Values("Server"); len(got) != 1 || got[0] != "test-stand-in" {
		t.Errorf("Server = %q", got)
	}
	// Seen on APISIX 3.16.0: X-Forwarded-Port is the port that the client came by.
	ca := newAuthority(t)
	ssl := ca.issue(t, "hello.example.local")
	gateway.put(t, adminapi.KindSSL, "one", ssl)
	gateway.served(t, "hello.example.local", serialOf(t, ssl), ca.pool())
	request, err = http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hello.example.local/", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := gateway.client(ca.pool(), false)
	defer client.CloseIdleConnections()
	do(t, client, request)
	if diff := cmp.Diff("GET / host=hello.example.local for=127.0.0.1 proto=https port=9443 real=127.0.0.1 body=", <-seen); diff != "" {
		t.Errorf("request by TLS (-want +got):\n%s", diff)
	}
}

func TestUpgrade(t *testing.T) {
	gateway := start(t, t.TempDir(), oneWorker)
	node := backend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buffer, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(buffer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		buffer.Flush()
		line, _ := buffer.ReadString('\n')
		fmt.Fprint(buffer, "echo "+line)
		buffer.Flush()
	}))
	gateway.put(t, adminapi.KindRoute, "r", adminapi.Route{URIs: []string{"/socket"}, WebSocket: true, Upstream: upstream(node)})
	gateway.put(t, adminapi.KindRoute, "ok", adminapi.Route{URIs: []string{"/ok"}, Upstream: upstream(backend(t, says("ok")))})
	eventually(t, "the routes", func() bool {
		_, body := gateway.plain(t, http.MethodGet, "x", "/ok")
		return body == "ok"
	})
	conn, err := net.Dial("tcp", gateway.addresses[httpPort])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /socket HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status = %s", response.Status)
	}
	fmt.Fprint(conn, "hello\n")
	line, err := reader.ReadString('\n')
	if err != nil || line != "echo hello\n" {
		t.Errorf("answer = %q, %v", line, err)
	}
}
