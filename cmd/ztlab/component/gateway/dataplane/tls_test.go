package dataplane_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/dataplane"
)

// internalError is the alert that APISIX ends a handshake with when it has no
// certificate (RFC 8446, section 6).
const internalError = "tls: internal error"

func TestServerNames(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	wild := ca.issue(t, "*.example.local")
	exact := ca.issue(t, "exact.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", wild)
	gateway.put(t, adminapi.KindSSL, "exact", exact)
	gateway.served(t, "a.example.local", serialOf(t, wild), ca.pool())
	gateway.served(t, "exact.example.local", serialOf(t, exact), ca.pool())

	for _, c := range []struct{ name, sni, want string }{
		{"one label", "hello.example.local", serialOf(t, wild)},
		{"upper case", "HELLO.Example.Local", serialOf(t, wild)},
		{"exact beats wildcard", "exact.example.local", serialOf(t, exact)},
		{"bare domain", "example.local", ""},
		{"two labels", "a.b.example.local", ""},
		{"another domain", "hello.example.org", ""},
		{"no name", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Without SNI there is no name to verify against either.
			config := &tls.Config{ServerName: c.sni, RootCAs: ca.pool(), InsecureSkipVerify: c.sni == ""}
			conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", gateway.addresses[tlsPort])
			if c.want == "" {
				if err == nil {
					conn.Close()
					t.Fatal("the handshake succeeded")
				}
				if got := alert(err); got != internalError {
					t.Errorf("error = %v (alert %q), want %q", err, got, internalError)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if got := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String(); got != c.want {
				t.Errorf("serial = %s, want %s", got, c.want)
			}
		})
	}
}

func TestFallbackSNI(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir(), func(o *dataplane.Options) { o.FallbackSNI = "hello.example.local" })
	ssl := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", ssl)
	gateway.served(t, "hello.example.local", serialOf(t, ssl), ca.pool())
	config := &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1", VerifyConnection: nil, InsecureSkipVerify: true}
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", gateway.addresses[tlsPort])
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestProtocols(t *testing.T) {
	ca := newAuthority(t)
	for _, c := range []struct {
		name           string
		server, client bool
		want           string
	}{
		{"both", true, true, "HTTP/2.0"},
		{"client without", true, false, "HTTP/1.1"},
		{"server without", false, true, "HTTP/1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			gateway := start(t, t.TempDir(), func(o *dataplane.Options) { o.HTTP2 = c.server })
			ssl := ca.issue(t, "*.example.local")
			gateway.put(t, adminapi.KindSSL, "wild", ssl)
			gateway.served(t, "hello.example.local", serialOf(t, ssl), ca.pool())
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hello.example.local/", nil)
			if err != nil {
				t.Fatal(err)
			}
			client := gateway.client(ca.pool(), c.client)
			defer client.CloseIdleConnections()
			response, _ := do(t, client, request)
			if response.Proto != c.want {
				t.Errorf("protocol = %s, want %s", response.Proto, c.want)
			}
			if got, want := response.Header.Get("Server"), "test-stand-in"; got != want {
				t.Errorf("Server = %q, want %q", got, want)
			}
		})
	}
}

// Under a steady stream of new handshakes and requests on open connections,
// ten rotations lose nothing, and no certificate is seen but those put.
func TestRotationLosesNothing(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	gateway.put(t, adminapi.KindRoute, "hello", adminapi.Route{URIs: []string{"/*"}, Upstream: upstream(backend(t, says("hello")))})
	ssl := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", ssl)
	gateway.served(t, "hello.example.local", serialOf(t, ssl), ca.pool())
	eventually(t, "the route on every worker", func() bool {
		for range 6 {
			if response, _ := gateway.plain(t, http.MethodGet, "hello.example.local", "/"); response.StatusCode != http.StatusOK {
				return false
			}
		}
		return true
	})

	known := sync.Map{}
	known.Store(serialOf(t, ssl), true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var group sync.WaitGroup
	var handshakes, requests atomic.Int64
	for range 2 {
		group.Go(func() {
			for ctx.Err() == nil {
				serial, err := gateway.handshake(context.WithoutCancel(ctx), "hello.example.local", ca.pool())
				if err != nil {
					t.Errorf("handshake: %v", err)
					return
				}
				if _, ok := known.Load(serial); !ok {
					t.Errorf("certificate %s was never put", serial)
					return
				}
				handshakes.Add(1)
			}
		})
	}
	for _, h2 := range []bool{false, true} {
		client := gateway.client(ca.pool(), h2)
		defer client.CloseIdleConnections()
		group.Go(func() {
			first := ""
			for ctx.Err() == nil {
				request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, "https://hello.example.local/", nil)
				if err != nil {
					t.Error(err)
					return
				}
				response, err := client.Do(request)
				if err != nil {
					t.Errorf("open connection: %v", err)
					return
				}
				buffer := make([]byte, 5)
				n, _ := response.Body.Read(buffer)
				response.Body.Close()
				serial := response.TLS.PeerCertificates[0].SerialNumber.String()
				if first == "" {
					first = serial
				}
				if serial != first {
					t.Errorf("the open connection was replaced: certificate %s, then %s", first, serial)
					return
				}
				if response.StatusCode != http.StatusOK || string(buffer[:n]) != "hello" {
					t.Errorf("open connection: %s %q", response.Status, buffer[:n])
					return
				}
				requests.Add(1)
			}
		})
	}
	for range 10 {
		next := ca.issue(t, "*.example.local")
		known.Store(serialOf(t, next), true)
		gateway.put(t, adminapi.KindSSL, "wild", next)
		gateway.served(t, "hello.example.local", serialOf(t, next), ca.pool())
	}
	cancel()
	group.Wait()
	t.Logf("%d handshakes, %d requests on open connections", handshakes.Load(), requests.Load())
	if handshakes.Load() == 0 || requests.Load() == 0 {
		t.Error("nothing was measured")
	}
}

// Workers take an update one after another, each later than the one before it
// by its lag, and all of them well within the lab's promise.
func TestWorkersSwitchOneAfterAnother(t *testing.T) {
	ca := newAuthority(t)
	updates := make(chan int64, 64)
	gateway := start(t, t.TempDir(), func(o *dataplane.Options) { o.Log = slog.New(&watcher{slog.DiscardHandler, updates}) })
	ssl := ca.issue(t, "*.example.local")
	began := time.Now()
	gateway.put(t, adminapi.KindSSL, "wild", ssl)
	took := map[int64]time.Duration{}
	for range 3 {
		worker := <-updates
		took[worker] = time.Since(began)
	}
	t.Logf("switched after %v", took)
	for worker, least := range map[int64]time.Duration{0: 5 * time.Millisecond, 1: 20 * time.Millisecond, 2: 35 * time.Millisecond} {
		if got, ok := took[worker]; !ok || got < least || got > 5*time.Second {
			t.Errorf("worker %d switched after %v, want at least %v", worker, got, least)
		}
	}
	gateway.served(t, "hello.example.local", serialOf(t, ssl), ca.pool())
}

// A watcher is a log that passes on which worker has taken an update.
type watcher struct {
	slog.Handler
	updates chan<- int64
}

func (w *watcher) Enabled(context.Context, slog.Level) bool { return true }

func (w *watcher) Handle(_ context.Context, record slog.Record) error {
	if record.Message == "worker has the configuration" {
		record.Attrs(func(a slog.Attr) bool {
			if a.Key == "worker" {
				w.updates <- a.Value.Int64()
			}
			return true
		})
	}
	return nil
}

// A client that resumes its session is shown the certificate of its first
// handshake: why a prober must not resume.
func TestResumedSessionShowsOldCertificate(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	gateway.put(t, adminapi.KindRoute, "hello", adminapi.Route{URIs: []string{"/*"}, Upstream: upstream(backend(t, says("hello")))})
	before := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", before)
	gateway.served(t, "hello.example.local", serialOf(t, before), ca.pool())
	client := gateway.client(ca.pool(), false)
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	transport.DisableKeepAlives = true
	get := func() *tls.ConnectionState {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hello.example.local/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, _ := do(t, client, request)
		return response.TLS
	}
	get()
	after := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", after)
	gateway.served(t, "hello.example.local", serialOf(t, after), ca.pool())
	state := get()
	if !state.DidResume {
		t.Error("the session was not resumed")
	}
	if got, want := state.PeerCertificates[0].SerialNumber.String(), serialOf(t, before); got != want {
		t.Errorf("serial = %s, want the old one, %s", got, want)
	}
}

func TestClientCertificates(t *testing.T) {
	ca, clients := newAuthority(t), newAuthority(t)
	gateway := start(t, t.TempDir())
	ssl := ca.issue(t, "*.example.local")
	ssl.Client = &adminapi.Client{CA: clients.PEM()}
	gateway.put(t, adminapi.KindSSL, "wild", ssl)
	pair := func(ssl adminapi.SSL) []tls.Certificate {
		made, err := tls.X509KeyPair([]byte(ssl.Cert), []byte(ssl.Key))
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{made}
	}
	status := func(certificates []tls.Certificate) (int, error) {
		client := gateway.client(ca.pool(), false)
		defer client.CloseIdleConnections()
		client.Transport.(*http.Transport).TLSClientConfig.Certificates = certificates
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hello.example.local/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return 0, err
		}
		response.Body.Close()
		return response.StatusCode, nil
	}
	good, bad := pair(clients.issue(t, "client")), pair(ca.issue(t, "client"))
	eventually(t, "a known client let in by every worker", func() bool {
		for range 6 {
			if code, err := status(good); err != nil || code != http.StatusNotFound {
				return false
			}
		}
		return true
	})
	if _, err := status(nil); err == nil {
		t.Error("a client without a certificate was let in")
	}
	if _, err := status(bad); err == nil {
		t.Error("a client of another authority was let in")
	}
}
