package dataplane_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/dataplane"
)

const (
	adminKey  = "the-admin-key"
	viewerKey = "the-viewer-key"
	httpPort  = 9080
	tlsPort   = 9443
	adminPort = 9180
)

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not seen in time: %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// An authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	mu          sync.Mutex
	serial      int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test root"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate: certificate, key: key, serial: 1}
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// issue makes a certificate object for names.
func (a *authority) issue(t *testing.T, names ...string) adminapi.SSL {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a.mu.Lock()
	a.serial++
	serial := a.serial
	a.mu.Unlock()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "test " + strconv.FormatInt(serial, 10)},
		DNSNames:     names,
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return adminapi.SSL{
		SNIs: names,
		Cert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})),
	}
}

func serialOf(t *testing.T, ssl adminapi.SSL) string {
	t.Helper()
	block, _ := pem.Decode([]byte(ssl.Cert))
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate.SerialNumber.String()
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
func start(t *testing.T, dir string, change ...func(*dataplane.Config)) *lab {
	t.Helper()
	config := dataplane.Config{
		HTTPPort: httpPort, TLSPort: tlsPort, AdminPort: adminPort,
		HTTP2: true, Workers: 3,
		Keys: []dataplane.Key{{Value: adminKey}, {Value: viewerKey, ReadOnly: true}},
	}
	for _, do := range change {
		do(&config)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	listening := make(chan map[int]string, 1)
	ready := make(chan struct{})
	ended := make(chan error, 1)
	var direct net.Dialer
	go func() {
		ended <- dataplane.Run(ctx, dataplane.Options{
			Config:    config,
			Dir:       dir,
			Server:    "test-stand-in",
			Dial:      direct.DialContext,
			Log:       slog.New(slog.NewTextHandler(io.Discard, nil)),
			Listening: func(addresses map[int]string) { listening <- addresses },
			Ready:     func() { close(ready) },
		})
	}()
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
	if err := l.admin.Tell(t.Context(), adminapi.State{Bugs: parsed, Synced: true}); err != nil {
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

// client talks to the gateway's TLS port whatever the URL's host is.
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

// says answers every request with a text.
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
