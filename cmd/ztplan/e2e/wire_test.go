package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A greeting is the gateway's answer to a new connection for a host.
type greeting struct {
	serial string // of the certificate that is shown, "" without one
	asks   bool   // for a certificate of the client
}

// greets returns when every new connection to a host meets a greeting that holds: the
// gateway has several workers, and takes a change over a moment after the API server has it.
func (w *world) greets(what, host string, holds func(greeting) bool) {
	w.t.Helper()
	address := w.gatewayAddress()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(w.rootCertificate()))
	w.until(what, func() bool {
		for range 32 {
			if !holds(greet(address, host, roots)) {
				return false
			}
		}
		return true
	})
}

func greet(address, host string, roots *x509.CertPool) (g greeting) {
	conn, err := tls.Dial("tcp", address, &tls.Config{
		ServerName: host, RootCAs: roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			g.asks = true
			return new(tls.Certificate), nil
		},
	})
	if err != nil {
		return g
	}
	defer conn.Close()
	g.serial = conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	return g
}

// takesOver returns when the gateway shows the certificate of a Secret for a host.
func (w *world) takesOver(host, secret string) {
	w.t.Helper()
	serial := w.serialIn(secret)
	w.greets("the gateway shows the certificate of "+secret, host, func(g greeting) bool { return g.serial == serial })
}

// serialIn is the serial number of the certificate in a Secret.
func (w *world) serialIn(secret string) string {
	w.t.Helper()
	coded, _, _ := unstructured.NestedString(w.get(secret).Object, "data", "tls.crt")
	text, err := base64.StdEncoding.DecodeString(coded)
	block, _ := pem.Decode(text)
	if err != nil || block == nil {
		w.t.Fatalf("%s has no certificate: %v", secret, err)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	return cert.SerialNumber.String()
}

// gatewayAddress is where the gateway listens on the node.
func (w *world) gatewayAddress() string {
	w.t.Helper()
	nodes, err := w.kube().Resource(resources["Node"]).List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	addresses, _, _ := unstructured.NestedSlice(nodes.Items[0].Object, "status", "addresses")
	for _, a := range addresses {
		if a := a.(fields); a["type"] == "InternalIP" {
			return net.JoinHostPort(fmt.Sprint(a["address"]), "30443")
		}
	}
	w.t.Fatal("the node has no address")
	return ""
}
