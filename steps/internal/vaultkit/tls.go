package vaultkit

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// speaksTLS reports whether requests to s are encrypted by Vault itself.
func (s Server) speaksTLS() bool { return strings.HasPrefix(s.baseURL(), "https://") }

func (s Server) validateTLS(p *engine.Problems, field string) {
	for _, k := range []struct {
		key   string
		given bool
	}{
		{"caFile", !s.CAFile.IsZero()}, {"caBundle", s.CABundle != ""},
		{"certFile", !s.CertFile.IsZero()}, {"keyFile", !s.KeyFile.IsZero()},
	} {
		if k.given && s.Address != "" && !s.speaksTLS() {
			p.Add(field+"."+k.key, "has no use with the address %s, which is not https", s.Address)
		}
	}
	if !s.CAFile.IsZero() && s.CABundle != "" {
		p.AddProblem(engine.Problem{Field: field + ".caBundle", Message: "has no use beside caFile", Hint: "keep one of them"})
	}
	if s.CABundle != "" {
		if _, err := bundle(s.CABundle); err != nil {
			p.Add(field+".caBundle", "%v", err)
		}
	}
	switch {
	case s.CertFile.IsZero() && !s.KeyFile.IsZero():
		p.Add(field+".certFile", "is needed with keyFile")
	case !s.CertFile.IsZero() && s.KeyFile.IsZero():
		p.Add(field+".keyFile", "is needed with certFile")
	}
}

func (s Server) tlsConfig() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName}
	if !s.CertFile.IsZero() {
		if _, err := s.clientCertificate(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.clientCertificate() }
	}
	var err error
	switch {
	case !s.CAFile.IsZero():
		var text []byte
		if text, err = s.CAFile.Read(); err == nil {
			if c.RootCAs, err = bundle(string(text)); err != nil {
				err = fmt.Errorf("%s: %w", s.CAFile, err)
			}
		}
	case s.CABundle != "":
		if c.RootCAs, err = bundle(s.CABundle); err != nil {
			err = fmt.Errorf("caBundle: %w", err)
		}
	}
	if err != nil {
		return nil, engine.Permanent(err)
	}
	return c, nil
}

// bundle returns the authorities in a text: PEM, or base64 of it.
func bundle(text string) (*x509.CertPool, error) {
	if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
		text = string(decoded)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, errors.New("holds no PEM certificate")
	}
	return pool, nil
}

// clientCertificate reads the client's certificate and key as they are now: others renew
// them.
func (s Server) clientCertificate() (*tls.Certificate, error) {
	certFile, keyFile := s.CertFile.Uncached(), s.KeyFile.Uncached()
	chain, err := certFile.Read()
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("the client certificate: %w", err))
	}
	key, err := keyFile.Read()
	if err == nil {
		err = keyFile.Exposed()
	}
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("the key of the client certificate: %w", err))
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, engine.WithHint(engine.Permanent(fmt.Errorf("the client certificate %s with the key %s: %w", s.CertFile, s.KeyFile, err)),
			"certFile holds the certificate first, then those above it, and keyFile the key of the first, both as PEM")
	}
	return &pair, nil
}
