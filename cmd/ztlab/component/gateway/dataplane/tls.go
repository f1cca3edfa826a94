package dataplane

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// sessions is how long a session may be resumed: nginx's ssl_session_timeout in
// APISIX.
const sessions = 10 * time.Minute

// tlsConfig serves each connection by the configuration that its worker has.
//
// Certificates are looked for before sessions are, so that a session for a name
// that is gone is refused. A session shows the certificate of its first
// handshake, whichever is served by then. Upstream resumes TLS 1.2 by session ID
// only, which crypto/tls cannot: no TLS 1.2 session is resumed here.
//
// Behaviour that crypto/tls does not leave to a server: it sends one ticket, APISIX two; a
// ticket names a lifetime of seven days, APISIX's 600 s (it is refused after
// 600 s all the same); and it prefers TLS_AES_128_GCM_SHA256 to
// TLS_AES_256_GCM_SHA384.
func (g *gateway) tlsConfig() *tls.Config {
	tickets := new(tls.Config) // has the keys of tickets
	wrap := func(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
		session.Extra = append(session.Extra, binary.BigEndian.AppendUint64([]byte("made"), uint64(time.Now().Unix())))
		return tickets.EncryptTicket(state, session)
	}
	unwrap := func(identity []byte, state tls.ConnectionState) (*tls.SessionState, error) {
		session, err := tickets.DecryptTicket(identity, state)
		if err != nil || session == nil {
			return nil, err
		}
		for _, extra := range session.Extra {
			if len(extra) == 12 && string(extra[:4]) == "made" &&
				time.Since(time.Unix(int64(binary.BigEndian.Uint64(extra[4:])), 0)) < sessions {
				return session, nil
			}
		}
		return nil, nil
	}
	protocols := []string{"http/1.1"}
	if g.HTTP2 {
		protocols = []string{"h2", "http/1.1"}
	}
	serve := func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		site, err := g.site(hello)
		if err != nil {
			return nil, err // crypto/tls sends internal_error, as APISIX does
		}
		config := &tls.Config{
			MinVersion: tls.VersionTLS12,
			NextProtos: protocols,
			// APISIX's ssl_ciphers, as far as crypto/tls has them.
			CipherSuites: []uint16{
				tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
				tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
				tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
				tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
				tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
				tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			},
			// OpenSSL 3.0 knows no post-quantum groups.
			CurvePreferences:       []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
			Certificates:           []tls.Certificate{site.certificate},
			SessionTicketsDisabled: !slices.Contains(hello.SupportedVersions, tls.VersionTLS13),
			WrapSession:            wrap,
			UnwrapSession:          unwrap,
		}
		if site.clients != nil {
			site.clients.ask(config)
			// A resumed session would not be asked for its certificate again.
			config.SessionTicketsDisabled = true
		}
		return config, nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: serve}
}

// site finds the site for a client's server name.
func (g *gateway) site(hello *tls.ClientHelloInfo) (*site, error) {
	name := hello.ServerName
	if name == "" {
		name = g.FallbackSNI
	}
	if name == "" {
		return nil, errors.New("failed to find SNI: the client sent none")
	}
	found := hello.Conn.(*connection).worker.current.Load().site(name)
	if found == nil {
		return nil, fmt.Errorf("failed to find any SSL certificate by SNI: %s", name)
	}
	if found.mismatch != nil {
		return nil, fmt.Errorf("failed to set the certificate for SNI %s: %w", name, found.mismatch)
	}
	return found, nil
}
