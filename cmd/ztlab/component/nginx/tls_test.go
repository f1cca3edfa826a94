package nginx_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/gatewaytest"
	"github.com/ztplan/ztplan/cmd/ztlab/component/nginx"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

const host = "hello.example.local"

// A pod has mounted files for a container that serves TLS.
type pod struct {
	dir     string
	address string
}

func (p *pod) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p *pod) show(t *testing.T, pair gatewaytest.Pair) {
	p.write(t, "tls.key", pair.Key)
	p.write(t, "tls.crt", pair.Cert)
}

// startTLS runs a container with a certificate, and more directives and arguments.
func startTLS(t *testing.T, pair gatewaytest.Pair, more string, files map[string]string, args ...string) *pod {
	t.Helper()
	p := &pod{dir: t.TempDir()}
	p.show(t, pair)
	for name, text := range files {
		p.write(t, name, text)
	}
	conf := t.TempDir()
	text := "server {\n  listen 443 ssl;\n  ssl_certificate /etc/tls/tls.crt; # mounted\n  ssl_certificate_key /etc/tls/tls.key;\n" + more + "}\n"
	if err := os.WriteFile(filepath.Join(conf, "default.conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	reports, ended := make(chan container.Report, 1), make(chan error, 1)
	go func() {
		ended <- nginx.Run(ctx, container.Spec{Image: "nginx:1.29", Args: args, Mounts: map[string]string{"/etc/nginx/conf.d": conf, "/etc/tls": p.dir}},
			func(r container.Report) { reports <- r })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case r := <-reports:
		p.address = r.Listen[443]
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return p
}

// serial returns the serial number that a new connection shows.
func (p *pod) serial(t *testing.T, roots *x509.CertPool) string {
	t.Helper()
	conn, err := tls.Dial("tcp", p.address, &tls.Config{RootCAs: roots, ServerName: host})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

// A container shows a new certificate when its command has it reload, and never
// otherwise.
func TestReload(t *testing.T) {
	ca := gatewaytest.NewAuthority(t)
	for name, args := range map[string][]string{
		"reloads": {"sh", "-c", "while inotifywait -e create /etc/tls; do nginx -s reload; done & exec nginx -g 'daemon off;'"},
		"never":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			before, after := ca.Issue(t, host), ca.Issue(t, host)
			p := startTLS(t, before, "", nil, args...)
			first := p.serial(t, ca.Pool())
			p.show(t, after)
			if args == nil {
				if got := p.serial(t, ca.Pool()); got != first {
					t.Errorf("serial %s without a reload, want %s", got, first)
				}
				return
			}
			gatewaytest.Eventually(t, "the new certificate", func() bool { return p.serial(t, ca.Pool()) != first })
		})
	}
}

// Clients that are not known get status 400 after the handshake.
func TestVerifiesClients(t *testing.T) {
	ca, clients := gatewaytest.NewAuthority(t), gatewaytest.NewAuthority(t)
	pair := func(p gatewaytest.Pair) []tls.Certificate {
		made, err := tls.X509KeyPair([]byte(p.Cert), []byte(p.Key))
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{made}
	}
	p := startTLS(t, ca.Issue(t, host), "ssl_client_certificate /etc/tls/clients.crt;\nssl_verify_client on;\n", map[string]string{"clients.crt": clients.PEM()})
	for name, c := range map[string]struct {
		certificates []tls.Certificate
		want         int
	}{
		"known":   {pair(clients.Issue(t, "client")), http.StatusOK},
		"none":    {nil, http.StatusBadRequest},
		"foreign": {pair(ca.Issue(t, "client")), http.StatusBadRequest},
	} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: host, Certificates: c.certificates}}}
		response, err := client.Get("https://" + p.address + "/")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		response.Body.Close()
		client.CloseIdleConnections()
		if response.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", name, response.StatusCode, c.want)
		}
	}
}
