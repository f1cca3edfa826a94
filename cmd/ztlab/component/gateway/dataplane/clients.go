package dataplane

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"

	"k8s.io/client-go/util/cert"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// clients decides which clients a site lets in, as APISIX does on its own OpenResty
// (apisix/ssl/router/radixtree_sni.lua and apisix/init.lua): without exceptions a client is
// refused in the handshake; with them every handshake succeeds, and a request for another
// path is answered with 400.
type clients struct {
	authorities *x509.CertPool
	depth       int
	skip        []*regexp.Regexp // paths that need no certificate
}

func newClients(c adminapi.Client) (*clients, error) {
	all, err := cert.ParseCertsPEM([]byte(c.CA))
	if err != nil {
		return nil, fmt.Errorf("failed to validate client_cert: %w", err)
	}
	made := &clients{authorities: x509.NewCertPool(), depth: 1}
	for _, one := range all {
		// OpenSSL trusts only self-signed certificates by default.
		if bytes.Equal(one.RawIssuer, one.RawSubject) {
			made.authorities.AddCert(one)
		}
	}
	if c.Depth != nil {
		made.depth = *c.Depth
	}
	for _, text := range c.SkipMTLS {
		pattern, err := regexp.Compile(text)
		if err != nil {
			return nil, fmt.Errorf("invalid uri regex: %w", err)
		}
		made.skip = append(made.skip, pattern)
	}
	return made, nil
}

// ask makes a configuration ask for a certificate.
func (c *clients) ask(config *tls.Config) {
	config.ClientAuth = tls.RequestClientCert
	if len(c.skip) > 0 {
		return
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, c.authorities
	config.VerifyPeerCertificate = func(_ [][]byte, chains [][]*x509.Certificate) error { return c.near(chains) }
}

// near refuses chains with more intermediates than the depth.
func (c *clients) near(chains [][]*x509.Certificate) error {
	for _, chain := range chains {
		if len(chain)-2 <= c.depth {
			return nil
		}
	}
	return errors.New("certificate chain too long")
}

// verify judges a certificate that was only asked for, with its intermediates.
func (c *clients) verify(sent []*x509.Certificate) error {
	if len(sent) == 0 {
		return errors.New("client certificate was not present")
	}
	between := x509.NewCertPool()
	for _, one := range sent[1:] {
		between.AddCert(one)
	}
	chains, err := sent[0].Verify(x509.VerifyOptions{Roots: c.authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return err
	}
	return c.near(chains)
}

// admits reports why a request is refused, nil if it is let in: the site of its server
// name decides, and one that asks for certificates serves no other host by it.
func (s *snapshot) admits(r *http.Request) error {
	if r.TLS == nil {
		return nil
	}
	if found := s.site(r.TLS.ServerName); found != nil && found.clients != nil && len(found.clients.skip) > 0 && !found.clients.skips(r.URL.Path) {
		if err := found.clients.verify(r.TLS.PeerCertificates); err != nil {
			return err
		}
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if found := s.site(host); found != nil && found.clients != nil && normal(host) != normal(r.TLS.ServerName) {
		return fmt.Errorf("client certificate verified with SNI %s, but the host is %s", r.TLS.ServerName, host)
	}
	return nil
}

func (c *clients) skips(path string) bool {
	for _, pattern := range c.skip {
		if pattern.MatchString(path) {
			return true
		}
	}
	return false
}
