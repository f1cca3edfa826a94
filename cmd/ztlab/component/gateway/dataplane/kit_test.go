package dataplane_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/dataplane"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/gatewaytest"
)

const (
	adminKey  = "the-admin-key"
	viewerKey = "the-viewer-key"
	httpPort  = 9080
	tlsPort   = 9443
	adminPort = 9180
	statPort  = 7085
)

// An authority signs certificate objects.
type authority struct{ *gatewaytest.Authority }

func newAuthority(t *testing.T) authority { return authority{gatewaytest.NewAuthority(t)} }

// issue makes a certificate object for names.
func (a authority) issue(t *testing.T, names ...string) adminapi.SSL {
	pair := a.Issue(t, names...)
	return adminapi.SSL{SNIs: names, Cert: pair.Cert, Key: pair.Key}
}

func (a authority) pool() *x509.CertPool { return a.Pool() }

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	gatewaytest.Eventually(t, what, holds)
}

func serialOf(t *testing.T, ssl adminapi.SSL) string {
	t.Helper()
	return gatewaytest.Pair{Cert: ssl.Cert}.Serial(t)
}

// A lab is a running gateway.
type lab struct {
	addresses map[int]string
	admin     adminapi.Endpoint
	ready     chan struct{}
	stop      func()
}

// start runs a gateway with the store in dir, until the test ends or stop is
// called.
func start(t *testing.T, dir string, change ...func(*dataplane.Options)) *lab {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	listening := make(chan map[int]string, 1)
	ready := make(chan struct{})
	ended := make(chan error, 1)
	var direct net.Dialer
	options := dataplane.Options{
		Config: dataplane.Config{
			HTTPPort: httpPort, TLSPort: tlsPort, AdminPort: adminPort, StatusPort: statPort,
			HTTP2: true, Workers: 3,
			Keys: []dataplane.Key{{Value: adminKey}, {Value: viewerKey, ReadOnly: true}},
		},
		Dir:       dir,
		Server:    "test-stand-in",
		Dial:      direct.DialContext,
		Pick:      gatewaytest.InTurn(),
		Contact:   time.Hour, // the control plane of a test may be late
		Log:       slog.New(slog.DiscardHandler),
		Listening: func(addresses map[int]string) { listening <- addresses },
		Ready:     func() { close(ready) },
	}
	for _, do := range change {
		do(&options)
	}
	go func() { ended <- dataplane.Run(ctx, options) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	select {
	case addresses := <-listening:
		return &lab{
			addresses: addresses,
			admin:     adminapi.Endpoint{Base: "http://" + addresses[adminPort], Key: adminKey, HTTP: &http.Client{}},
			ready:     ready,
			stop:      stop,
		}
	case err := <-ended:
		ended <- err
		t.Fatalf("Run: %v", err)
		return nil
	}
}

func (l *lab) put(t *testing.T, kind, id string, object any) {
	t.Helper()
	if err := l.admin.Put(t.Context(), kind, id, object); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) show(t *testing.T, bugs string) {
	t.Helper()
	parsed, err := adminapi.ParseBugs(bugs)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.admin.PutState(t.Context(), adminapi.State{Bugs: parsed, Synced: true}); err != nil {
		t.Fatal(err)
	}
}

// handshake makes a new connection that asks for a name, and returns the
// verified certificate's serial number.
func (l *lab) handshake(ctx context.Context, name string, roots *x509.CertPool) (string, error) {
	dialer := tls.Dialer{Config: &tls.Config{ServerName: name, RootCAs: roots}}
	conn, err := dialer.DialContext(ctx, "tcp", l.addresses[tlsPort])
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

// serials makes n new connections and counts the certificates seen.
func (l *lab) serials(t *testing.T, n int, name string, roots *x509.CertPool) map[string]int {
	t.Helper()
	seen := map[string]int{}
	for range n {
		serial, err := l.handshake(t.Context(), name, roots)
		if err != nil {
			t.Fatal(err)
		}
		seen[serial]++
	}
	return seen
}

// served waits until every worker serves one certificate alone.
func (l *lab) served(t *testing.T, name, serial string, roots *x509.CertPool) {
	t.Helper()
	eventually(t, "every worker serving certificate "+serial, func() bool {
		for range 12 {
			if got, err := l.handshake(t.Context(), name, roots); err != nil || got != serial {
				return false
			}
		}
		return true
	})
}

// client talks to the gateway's TLS port for any host of the URL.
func (l *lab) client(roots *x509.CertPool, h2 bool) *http.Client {
	var direct net.Dialer
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return direct.DialContext(ctx, network, l.addresses[tlsPort])
		},
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: h2,
	}
	return &http.Client{Transport: transport}
}

// plain sends a request to the gateway's HTTP port.
func (l *lab) plain(t *testing.T, method, host, path string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.addresses[httpPort]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	return do(t, http.DefaultClient, request)
}

func do(t *testing.T, client *http.Client, request *http.Request) (*http.Response, string) {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// backend starts a server that answers with a text, and returns its node.
func backend(t *testing.T, handler http.Handler) adminapi.Node {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return nodeOf(t, server.Listener.Addr().String())
}

func nodeOf(t *testing.T, address string) adminapi.Node {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return adminapi.Node{Host: host, Port: number, Weight: 1}
}

// says returns a handler that answers every request with a text.
func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

func upstream(nodes ...adminapi.Node) *adminapi.Upstream {
	return &adminapi.Upstream{Type: "roundrobin", Nodes: nodes}
}

// alert is the alert that the other side ended a handshake with, in the words
// of crypto/tls; "" when the error is another one.
func alert(err error) string {
	var failed *net.OpError
	if errors.As(err, &failed) && failed.Op == "remote error" {
		return failed.Err.Error()
	}
	return ""
}
