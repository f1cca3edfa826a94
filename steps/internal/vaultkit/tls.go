package vaultkit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// speaksTLS reports whether requests to s are encrypted by Vault itself.
func (s Server) speaksTLS() bool { return strings.HasPrefix(s.baseURL(), "https://") }

func (s Server) validateTLS(p *engine.Problems, field string) {
	for _, k := range []struct {
		key   string
		given bool
	}{
		{"caFile", !s.CAFile.IsZero()}, {"caBundle", s.CABundle != ""}, {"trustFrom", s.TrustFrom != nil},
		{"certFile", !s.CertFile.IsZero()}, {"keyFile", !s.KeyFile.IsZero()},
	} {
		if k.given && s.Address != "" && !s.speaksTLS() {
			p.Add(field+"."+k.key, "has no use with the address %s, which is not https", s.Address)
		}
	}
	if !s.CAFile.IsZero() && s.CABundle != "" {
		p.AddProblem(engine.Problem{Field: field + ".caBundle", Message: "has no use beside caFile", Hint: "keep one of them"})
	}
	if s.TrustFrom != nil {
		if !s.CAFile.IsZero() || s.CABundle != "" {
			p.AddProblem(engine.Problem{Field: field + ".trustFrom", Message: "has no use beside caFile or caBundle", Hint: "keep one of them"})
		}
		s.TrustFrom.Validate(p, field+".trustFrom")
	}
	if s.CABundle != "" {
		if _, err := bundle(s.CABundle); err != nil {
			p.Add(field+".caBundle", "%v", err)
		}
	}
	if !s.CAFile.IsZero() {
		text, err := s.CAFile.Read()
		if err == nil && len(text) > 0 { // the engine reports a file that is not there or empty
			if _, err = bundle(string(text)); err != nil {
				p.Add(field+".caFile", "%s: %v", s.CAFile.Name, err)
			}
		}
	}
	switch {
	case s.CertFile.IsZero() && !s.KeyFile.IsZero():
		p.Add(field+".certFile", "is needed with keyFile")
	case !s.CertFile.IsZero() && s.KeyFile.IsZero():
		p.Add(field+".keyFile", "is needed with certFile")
	}
}

func (s Server) tlsConfig(ctx context.Context, env *engine.Env) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName}
	if !s.CertFile.IsZero() {
		if _, err := s.clientCertificate(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.clientCertificate() }
	}
	ca, err := s.authorities(ctx, env)
	if err != nil {
		return nil, err
	}
	if ca != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(ca))
	}
	return c, nil
}

// authorities returns those that sign Vault's own certificate, as PEM; "" means the
// system's. Its error is permanent, but for an object of trustFrom that is not there or
// not filled yet.
func (s Server) authorities(ctx context.Context, env *engine.Env) (string, error) {
	source, text := "caBundle", s.CABundle
	switch {
	case !s.CAFile.IsZero():
		source = s.CAFile.String()
		read, err := s.CAFile.Read()
		if err != nil {
			return "", engine.Permanent(err)
		}
		text = string(read)
	case s.TrustFrom != nil:
		source = s.TrustFrom.String()
		read, err := s.TrustFrom.Text(ctx, env)
		if err != nil {
			return "", err
		}
		text = read
	case text == "":
		return "", nil
	}
	ca, err := bundle(text)
	if err != nil {
		return "", engine.Permanent(fmt.Errorf("%s: %w", source, err))
	}
	return ca, nil
}

// trustKey identifies the object of trustFrom.
func (s Server) trustKey() string {
	if s.TrustFrom == nil {
		return ""
	}
	return s.TrustFrom.String()
}

// bundle returns the authorities in a text, PEM or base64 of it, as PEM.
func bundle(text string) (string, error) {
	if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
		text = string(decoded)
	}
	return text, certs.AddTo(x509.NewCertPool(), text)
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
