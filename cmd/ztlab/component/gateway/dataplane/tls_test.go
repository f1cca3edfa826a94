package dataplane_test

import (
	"context"
	"crypto/tls"
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

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

// Connections go to the workers at random, as seen on APISIX 3.16.0 with 4
// workers and SO_REUSEPORT: a dozen new certificates in a row prove little about a
// stale one.
func TestWorkersAreMetAtRandom(t *testing.T) {
	for _, workers := range []int{2, 4, 8} {
		t.Run(strconv.Itoa(workers), func(t *testing.T) {
			ca := newAuthority(t)
			gateway := start(t, t.TempDir(), func(o *dataplane.Options) { o.Workers, o.Pick = workers, nil })
			before := ca.issue(t, "*.example.local")
			gateway.put(t, adminapi.KindSSL, "wild", before)
			gateway.show(t, "one-worker-stale")
			after := ca.issue(t, "*.example.local")
			gateway.put(t, adminapi.KindSSL, "wild", after)
			eventually(t, "the new certificate", func() bool {
				serial, err := gateway.handshake(t.Context(), "hello.example.local", ca.pool())
				return err == nil && serial == serialOf(t, after)
			})
			// The distances between handshakes with the stale worker: all the
			// same in turn, which at random has a chance below 1 in 10^20.
			const handshakes = 400
			stale, last, distances := 0, 0, map[int]bool{}
			for i := range handshakes {
				serial, err := gateway.handshake(t.Context(), "hello.example.local", ca.pool())
				if err != nil {
					t.Fatal(err)
				}
				if serial == serialOf(t, before) {
					stale++
					distances[i-last] = true
					last = i
				}
			}
			if len(distances) < 4 {
				t.Errorf("the stale worker was met at distances %v only", distances)
			}
			// Six standard deviations around the mean.
			mean := float64(handshakes) / float64(workers)
			if spread := 6 * math.Sqrt(mean*(1-1/float64(workers))); math.Abs(float64(stale)-mean) > spread {
				t.Errorf("the stale worker was met %d times of %d, want %.0f±%.0f", stale, handshakes, mean, spread)
			}
		})
	}
}

// Seen on APISIX 3.16.0: of two objects for one SNI the first one inserted is
// served, whichever is written last; when it goes, the other one is; after a
// restart that of the lowest key.
func TestTwoObjectsForOneName(t *testing.T) {
	ca := newAuthority(t)
	dir := t.TempDir()
	gateway := start(t, dir)
	gateway.show(t, "")
	put := func(id string) string {
		t.Helper()
		ssl := ca.issue(t, "*.example.local")
		gateway.put(t, adminapi.KindSSL, id, ssl)
		return serialOf(t, ssl)
	}
	// The last write shows when the ones before it have been taken.
	serves := func(serial, marker string) {
		t.Helper()
		ssl := ca.issue(t, marker)
		gateway.put(t, adminapi.KindSSL, "marker", ssl)
		gateway.served(t, marker, serialOf(t, ssl), ca.pool())
		if seen := gateway.serials(t, 12, "hello.example.local", ca.pool()); seen[serial] != 12 {
			t.Errorf("certificates seen = %v, want %s alone", seen, serial)
		}
	}
	b := put("b")
	put("a")
	serves(b, "one.test")
	a := put("a")
	serves(b, "two.test")
	b = put("b") // an update keeps its place
	serves(b, "three.test")
	gateway.stop()
	gateway = start(t, dir)
	serves(a, "four.test")
	if err := gateway.admin.Delete(t.Context(), adminapi.KindSSL, "a"); err != nil {
		t.Fatal(err)
	}
	serves(b, "five.test")
	put("a") // inserted after b now
	serves(b, "six.test")
}

// Seen on APISIX 3.16.0: both are accepted with 201; the key that does not match
// ends handshakes with internal_error, the reversed chain with
// handshake_failure.
func TestUnusableCertificates(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	good, other := ca.issue(t, "good.test"), ca.issue(t, "other.test")
	gateway.put(t, adminapi.KindSSL, "mismatched", adminapi.SSL{SNIs: []string{"mismatched.test"}, Cert: good.Cert, Key: other.Key})
	gateway.put(t, adminapi.KindSSL, "reversed", adminapi.SSL{SNIs: []string{"reversed.test"}, Cert: ca.PEM() + good.Cert, Key: good.Key})
	gateway.put(t, adminapi.KindSSL, "good", adminapi.SSL{SNIs: good.SNIs, Cert: good.Cert + ca.PEM(), Key: good.Key})
	gateway.served(t, "good.test", serialOf(t, good), ca.pool())
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for name, want := range map[string]string{"mismatched.test": internalError, "reversed.test": "tls: handshake failure", "good.test": ""} {
			config := &tls.Config{ServerName: name, RootCAs: ca.pool(), MaxVersion: version}
			conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", gateway.addresses[tlsPort])
			if got := alert(err); got != want {
				t.Errorf("%s of %s: %v, want alert %q", tls.VersionName(version), name, err, want)
			}
			if err == nil {
				conn.Close()
			}
		}
	}
}

// Seen on APISIX 3.16.0: an object with status 0 is not served.
func TestStatusZero(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	zero, one := 0, 1
	hidden, shown := ca.issue(t, "hidden.test"), ca.issue(t, "shown.test")
	hidden.Status, shown.Status = &zero, &one
	gateway.put(t, adminapi.KindSSL, "hidden", hidden)
	gateway.put(t, adminapi.KindSSL, "shown", shown)
	for id, status := range map[string]*int{"hidden": &zero, "shown": &one} {
		gateway.put(t, adminapi.KindRoute, id, adminapi.Route{URIs: []string{"/" + id}, Status: status, Upstream: upstream(backend(t, says(id)))})
	}
	gateway.served(t, "shown.test", serialOf(t, shown), ca.pool())
	if _, err := gateway.handshake(t.Context(), "hidden.test", ca.pool()); alert(err) != internalError {
		t.Errorf("handshake: %v, want alert %q", err, internalError)
	}
	for path, want := range map[string]int{"/hidden": http.StatusNotFound, "/shown": http.StatusOK} {
		if response, _ := gateway.plain(t, http.MethodGet, "x", path); response.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, response.Status, want)
		}
	}
}

// Seen on APISIX 3.16.0 with OpenSSL 3.0.19: no CBC suite in TLS 1.2, X25519 as
// the group in TLS 1.3.
func TestTLSParameters(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	gateway.put(t, adminapi.KindSSL, "wild", ca.issue(t, "*.example.local"))
	dial := func(config *tls.Config) (*tls.ConnectionState, error) {
		config.ServerName, config.RootCAs = "hello.example.local", ca.pool()
		conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", gateway.addresses[tlsPort])
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		state := conn.(*tls.Conn).ConnectionState()
		return &state, nil
	}
	for suite, want := range map[uint16]string{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA:          "tls: handshake failure",
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       "",
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       "",
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "",
	} {
		_, err := dial(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}})
		if got := alert(err); got != want || (err != nil) != (want != "") {
			t.Errorf("%s: %v, want alert %q", tls.CipherSuiteName(suite), err, want)
		}
	}
	state, err := dial(&tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519 {
		t.Errorf("%s with group %v, want TLS 1.3 with X25519", tls.VersionName(state.Version), state.CurveID)
	}
}

// Seen on APISIX 3.16.0: a client that resumes its TLS 1.3 session is shown the
// certificate of its first handshake (why a prober must not resume), until the
// object for its name is gone; then it is refused with internal_error. TLS 1.2
// has no tickets there, and Go resumes nothing else.
func TestResumption(t *testing.T) {
	ca := newAuthority(t)
	gateway := start(t, t.TempDir())
	before := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", before)
	cache := map[uint16]tls.ClientSessionCache{
		tls.VersionTLS12: tls.NewLRUClientSessionCache(4),
		tls.VersionTLS13: tls.NewLRUClientSessionCache(4),
	}
	get := func(version uint16) (*tls.ConnectionState, error) {
		client := gateway.client(ca.pool(), false)
		transport := client.Transport.(*http.Transport)
		transport.TLSClientConfig.ClientSessionCache = cache[version]
		transport.TLSClientConfig.MaxVersion = version
		transport.DisableKeepAlives = true
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hello.example.local/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		response.Body.Close()
		return response.TLS, nil
	}
	for version := range cache {
		if _, err := get(version); err != nil {
			t.Fatal(err)
		}
	}
	after := ca.issue(t, "*.example.local")
	gateway.put(t, adminapi.KindSSL, "wild", after)
	gateway.served(t, "hello.example.local", serialOf(t, after), ca.pool())
	for version, want := range map[uint16]struct {
		resumed bool
		serial  string
	}{
		tls.VersionTLS12: {false, serialOf(t, after)},
		tls.VersionTLS13: {true, serialOf(t, before)},
	} {
		state, err := get(version)
		if err != nil {
			t.Fatal(err)
		}
		if got := state.PeerCertificates[0].SerialNumber.String(); state.DidResume != want.resumed || got != want.serial {
			t.Errorf("%s: resumed %v, serial %s; want %v, %s", tls.VersionName(version), state.DidResume, got, want.resumed, want.serial)
		}
	}
	if err := gateway.admin.Delete(t.Context(), adminapi.KindSSL, "wild"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "no certificate on any worker", func() bool {
		for range 6 {
			if _, err := gateway.handshake(t.Context(), "hello.example.local", ca.pool()); err == nil {
				return false
			}
		}
		return true
	})
	if _, err := get(tls.VersionTLS13); alert(err) != internalError {
		t.Errorf("resumption for a name that is gone: %v, want alert %q", err, internalError)
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

// With skip_mtls_uri_regex every handshake succeeds, and paths that it does not name answer
// 400 without a known certificate.
func TestClientExceptions(t *testing.T) {
	ca, clients := newAuthority(t), newAuthority(t)
	gateway := start(t, t.TempDir())
	ssl := ca.issue(t, "*.example.local")
	ssl.Client = &adminapi.Client{CA: clients.PEM(), SkipMTLS: []string{"^/open"}}
	gateway.put(t, adminapi.KindSSL, "wild", ssl)
	status := func(path string, certificates ...tls.Certificate) int {
		client := gateway.client(ca.pool(), false)
		defer client.CloseIdleConnections()
		client.Transport.(*http.Transport).TLSClientConfig.Certificates = certificates
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://hello.example.local"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return 0
		}
		response.Body.Close()
		return response.StatusCode
	}
	eventually(t, "the certificate at every worker", func() bool {
		for range 6 {
			if status("/open") != http.StatusNotFound {
				return false
			}
		}
		return true
	})
	if got := status("/closed"); got != http.StatusBadRequest {
		t.Errorf("a path without an exception: status %d, want 400", got)
	}
	pair := clients.issue(t, "client")
	certificate, err := tls.X509KeyPair([]byte(pair.Cert), []byte(pair.Key))
	if err != nil {
		t.Fatal(err)
	}
	if got := status("/closed", certificate); got != http.StatusNotFound {
		t.Errorf("a known client: status %d, want 404", got)
	}
	request := ssl
	request.Client = &adminapi.Client{CA: ca.issue(t, "leaf.example.local").Cert} // not signed by itself
	gateway.put(t, adminapi.KindSSL, "wild", request)
	eventually(t, "no client is known without an authority that signed itself", func() bool { return status("/open", certificate) == 0 })
}
