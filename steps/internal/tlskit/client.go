package tlskit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"
)

// The protocols of application-layer protocol negotiation (RFC 7301).
const (
	HTTP1 = "http/1.1"
	HTTP2 = "h2"
)

// A Client opens verified TLS connections to one server name. It may be used
// by several goroutines.
type Client struct {
	name      string
	trust     *Trust
	protocols []string
	clock     Clock
	known     *known
	identity  *Identity // nil presents no certificate
}

// NewClient returns a client that asks for serverName (SNI), accepts only a
// certificate for that name that leads to trust at the time of clock, and
// offers the given protocols, best first.
func NewClient(serverName string, trust *Trust, clock Clock, protocols ...string) *Client {
	c := &Client{name: serverName, trust: trust, protocols: protocols, clock: clock, known: new(known)}
	c.known.config.Store(&tls.Config{
		ServerName: serverName,
		RootCAs:    trust.pool,
		NextProtos: protocols,
		MinVersion: tls.VersionTLS12,
		Time:       clock.now,

		GetClientCertificate: c.present,

		// A resumed session shows the certificate of the first one, and its client is
		// not asked for its own again.
		ClientSessionCache:     nil,
		SessionTicketsDisabled: true,
	})
	return c
}

// Classical makes the client exchange keys by elliptic curves alone, before its
// first connection. The hybrid with ML-KEM takes a third of the time of a
// handshake; connections that carry nothing worth recording for later can do
// without.
func (c *Client) Classical() *Client {
	config := c.known.config.Load().Clone()
	config.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	c.known.config.Store(config)
	return c
}

// Connect opens a new connection to e and verifies the server. Its error is a
// [Failure], unless ctx was cancelled.
func (c *Client) Connect(ctx context.Context, e Endpoint) (*Conn, error) {
	return c.ConnectFirst(ctx, []Endpoint{e})
}

// ConnectFirst does the same with the first endpoint that can be reached.
func (c *Client) ConnectFirst(ctx context.Context, endpoints []Endpoint) (*Conn, error) {
	start := time.Now()
	raw, e, err := DialFirst(ctx, endpoints)
	if err != nil {
		return nil, err
	}
	return c.handshake(ctx, raw, e, time.Since(start))
}

func (c *Client) handshake(ctx context.Context, raw net.Conn, e Endpoint, dialled time.Duration) (*Conn, error) {
	start := time.Now()
	conn := tls.Client(lenient{raw}, c.known.config.Load())
	shaking, request := withRequest(ctx)
	if err := conn.HandshakeContext(shaking); err != nil {
		_ = raw.Close()
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, context.Cause(ctx)
		}
		f := newHandshakeFailure(e.name, err, c.name, c.trust, c.clock.now())
		if f.Asked = request.asked; f.Asked && f.Alert() == "handshake_failure" {
			f.Hint = alertHint("certificate required", c.name) // OpenSSL's alert for it in TLS 1.2
		}
		return nil, f
	}
	state := conn.ConnectionState()
	verified, err := c.verify(state.PeerCertificates)
	if err != nil {
		_ = conn.Close()
		var f *Failure
		if errors.As(err, &f) {
			f.Endpoint = e.name
		}
		return nil, err
	}
	if len(c.protocols) > 0 && state.NegotiatedProtocol == "" && !slices.Contains(c.protocols, HTTP1) {
		_ = conn.Close()
		return nil, &Failure{
			Class: ClassTLS, Endpoint: e.name,
			Reason: fmt.Sprintf("the server does not negotiate %s", c.protocols[0]),
			Hint:   "the server speaks HTTP/1.1 only: ask for that",
		}
	}
	return &Conn{
		Endpoint:  e,
		Remote:    remoteOf(raw),
		State:     state,
		Verified:  verified,
		Asked:     request.asked,
		Presented: request.presented,
		Dialled:   dialled,
		Handshake: time.Since(start),
		conn:      conn,
	}, nil
}

func remoteOf(conn net.Conn) string {
	if a := conn.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

// A Conn is a verified connection.
type Conn struct {
	Endpoint  Endpoint
	Remote    string // the peer's address
	State     tls.ConnectionState
	Verified  []*x509.Certificate // from the server's certificate to the trusted anchor
	Asked     bool                // the server asked for a client certificate
	Presented []*x509.Certificate // the client certificate with its chain, if the server asked and there is one
	Dialled   time.Duration       // how long the TCP connection took
	Handshake time.Duration       // how long the TLS handshake took

	conn   *tls.Conn
	client *http.ClientConn // from the first request on
	ending bool             // the last answer announced the end of the connection
}

// Leaf returns the server's certificate.
func (c *Conn) Leaf() *x509.Certificate { return c.State.PeerCertificates[0] }

// Close closes the connection.
func (c *Conn) Close() error {
	if c.client != nil {
		return c.client.Close()
	}
	return c.conn.Close()
}
