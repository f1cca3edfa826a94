package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/ztplan/ztplan/cmd/ztplan/e2e/faultproxy"
)

// plantedToken is the bearer token in the kubeconfigs of these tests. The proxy
// takes it off and logs in with the lab's own certificate.
const plantedToken = "planted-kubeconfig-token-6f1d2c9b"

// apiProxy returns a proxy before the lab's API server, whose certificate is valid
// from a time on, and a kubeconfig for it.
func (w *world) apiProxy(t *testing.T, from time.Time) (p *faultproxy.Proxy, kubeconfig string) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", w.status.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	// HTTP/1.1 only: an upgrade needs it.
	upstream := &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}
	certificate, ca := serving(t, from)
	p = faultproxy.New(to, anonymous{upstream}, certificate)
	t.Cleanup(p.Close)

	out := clientcmdapi.NewConfig()
	out.Clusters["c"] = &clientcmdapi.Cluster{Server: p.URL, CertificateAuthorityData: ca}
	out.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: plantedToken}
	out.Contexts["proxied"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	out.CurrentContext = "proxied"
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*out, kubeconfig); err != nil {
		t.Fatal(err)
	}
	return p, kubeconfig
}

type anonymous struct{ next http.RoundTripper }

func (a anonymous) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Del("Authorization")
	return a.next.RoundTrip(r)
}

// serving makes a certificate for 127.0.0.1, signed by an authority of its own.
func serving(t *testing.T, from time.Time) (*tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fault proxy"},
		NotBefore: from, NotAfter: from.Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// vaultProxy returns a proxy before the Vault at address, which it reaches by way
// of transport; nil means a plain one.
func vaultProxy(t *testing.T, address string, transport http.RoundTripper) *faultproxy.Proxy {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	p := faultproxy.New(to, transport, nil)
	t.Cleanup(p.Close)
	return p
}

// Kinds of requests, to the API server and to Vault.

func isWrite(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, "LIST":
		return false
	}
	return !isTunnel(r) && r.URL.Query().Get("dryRun") == "" && !strings.HasSuffix(r.URL.Path, "accessreviews")
}

func isLock(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/apis/coordination.k8s.io/") }

func isTunnel(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/portforward") }

func isAnswered(r *http.Request) bool { return !isTunnel(r) && r.URL.Query().Get("watch") == "" }
