package tlskit

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

// A Credential is a certificate that a client can present, with its private key.
type Credential struct {
	// Chain is sent by the client, its own certificate first.
	Chain []*x509.Certificate

	pair tls.Certificate
}

// NewCredential returns the credential of a chain, leaf first, and the leaf's key.
func NewCredential(chain []*x509.Certificate, key crypto.Signer) *Credential {
	c := &Credential{Chain: chain, pair: tls.Certificate{PrivateKey: key, Leaf: chain[0]}}
	for _, one := range chain {
		c.pair.Certificate = append(c.pair.Certificate, one.Raw)
	}
	return c
}

// ParseCredential reads a chain and a private key in PEM. The error does not repeat the
// key.
func ParseCredential(chainPEM, keyPEM []byte) (*Credential, error) {
	chain, err := certs.Parse(string(chainPEM))
	if err != nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(chainPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the private key does not fit the certificate: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("the private key cannot sign")
	}
	return NewCredential(chain, key), nil
}

// Leaf returns the client's own certificate.
func (c *Credential) Leaf() *x509.Certificate { return c.Chain[0] }

// String names the certificate for messages.
func (c *Credential) String() string {
	return fmt.Sprintf("%s, serial %s", certs.Subject(c.Leaf()), certs.Serial(c.Leaf()))
}

// An Identity is the credential that a client presents to servers that ask for one. It
// may be replaced while connections are made: each handshake presents the newest.
type Identity struct{ current atomic.Pointer[Credential] }

// NewIdentity returns an identity that presents c.
func NewIdentity(c *Credential) *Identity {
	i := new(Identity)
	i.Replace(c)
	return i
}

// Replace makes the handshakes that begin from now on present c.
func (i *Identity) Replace(c *Credential) { i.current.Store(c) }

// Credential returns the present one; nil if i is nil.
func (i *Identity) Credential() *Credential {
	if i == nil {
		return nil
	}
	return i.current.Load()
}

// Presenting makes the client present an identity, before its first connection. It
// presents it whatever authorities a server names, as a server that judges by something
// else than its list would be missed otherwise. nil presents none.
func (c *Client) Presenting(i *Identity) *Client {
	c.identity = i
	return c
}

// A request is a server's question for a client certificate in one handshake.
type request struct {
	asked     bool
	presented []*x509.Certificate
}

type requestKey struct{}

// present answers a server that asks for a client certificate, and notes that it did.
func (c *Client) present(asking *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	credential := c.identity.Credential()
	if r, ok := asking.Context().Value(requestKey{}).(*request); ok {
		r.asked = true
		if credential != nil {
			r.presented = credential.Chain
		}
	}
	if credential == nil {
		return new(tls.Certificate), nil // sends none
	}
	return &credential.pair, nil
}

// withRequest returns a context for one handshake and the note that [Client.present]
// fills.
func withRequest(ctx context.Context) (context.Context, *request) {
	r := new(request)
	return context.WithValue(ctx, requestKey{}, r), r
}
