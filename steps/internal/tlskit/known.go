package tlskit

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// mostKnown bounds how many chains a client remembers. A server shows one, and
// two while it changes.
const mostKnown = 16

// A known holds the chains that a client has verified in full, so that thousands
// of connections to a server need not verify the same bytes thousands of times.
//
// A chain counts as verified again only if it is the same, byte for byte and
// from the first certificate to the last that the server sent, and if every
// certificate on its way to the anchor is valid at the moment: time is the only
// thing besides the bytes, the name and the anchors that verification depends
// on (RFC 5280, section 6.1.3), and name and anchors of a client never change.
// That the server has the private key is proven in every handshake (RFC 8446,
// section 4.4.3).
type known struct {
	// config makes the handshakes. Besides the anchors it trusts the first
	// certificates of known chains as they are, which saves verifying their
	// signatures; its verdict alone is therefore not enough.
	config atomic.Pointer[tls.Config]

	mu     sync.Mutex
	chains map[[sha256.Size]byte]proven
}

// A proven is a chain that was verified in full, up to its anchor, and when all
// of it is valid.
type proven struct {
	chain       []*x509.Certificate
	from, until time.Time
}

func (p proven) validAt(t time.Time) bool { return !t.Before(p.from) && !t.After(p.until) }

// verify returns the way from the first of the certificates that a server sent
// to the trusted anchor, verified in full now or before.
func (c *Client) verify(sent []*x509.Certificate) ([]*x509.Certificate, error) {
	key, now := digest(sent), c.clock.now()
	c.known.mu.Lock()
	p, ok := c.known.chains[key]
	c.known.mu.Unlock()
	if ok && p.validAt(now) {
		return p.chain, nil
	}
	chain, err := c.trust.Verify(sent, c.name, func() time.Time { return now })
	if err == nil && c.trust.pool != nil { // the system's roots may change
		c.learn(key, chain)
	}
	return chain, err
}

// learn remembers a chain that was verified in full.
func (c *Client) learn(key [sha256.Size]byte, chain []*x509.Certificate) {
	p := proven{chain: chain, from: chain[0].NotBefore, until: chain[0].NotAfter}
	for _, cert := range chain[1:] {
		if cert.NotBefore.After(p.from) {
			p.from = cert.NotBefore
		}
		if cert.NotAfter.Before(p.until) {
			p.until = cert.NotAfter
		}
	}
	c.known.mu.Lock()
	defer c.known.mu.Unlock()
	if len(c.known.chains) >= mostKnown || c.known.chains == nil {
		c.known.chains = make(map[[sha256.Size]byte]proven)
	}
	c.known.chains[key] = p
	config := c.known.config.Load().Clone()
	config.RootCAs = c.trust.pool.Clone()
	for _, one := range c.known.chains {
		config.RootCAs.AddCert(one.chain[0])
	}
	c.known.config.Store(config)
}

// digest stands for the certificates, one after another with their lengths.
func digest(certs []*x509.Certificate) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, cert := range certs {
		_ = binary.Write(h, binary.BigEndian, uint64(len(cert.Raw))) // a hash takes everything
		h.Write(cert.Raw)
	}
	h.Sum(sum[:0])
	return sum
}
