package probe

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// Clients counts the handshakes by the certificate that the client presented.
type Clients struct {
	Unasked   int // handshakes in which the server asked for none
	Presented []Presented
}

// A Presented is a client certificate, and the number of handshakes with it.
type Presented struct {
	Chain []*x509.Certificate
	Count int
}

func (c *Clients) add(s Sample) {
	switch {
	case s.Leaf == nil:
		return // there was no handshake
	case !s.Asked:
		c.Unasked++
		return
	case len(s.Client) == 0:
		return
	}
	i := slices.IndexFunc(c.Presented, func(p Presented) bool { return p.Chain[0].Equal(s.Client[0]) })
	if i < 0 {
		i = len(c.Presented)
		c.Presented = append(c.Presented, Presented{Chain: s.Client})
	}
	c.Presented[i].Count++
}

// String lists the certificates with their numbers of handshakes.
func (c *Clients) String() string {
	var parts []string
	for _, p := range c.Presented {
		parts = append(parts, fmt.Sprintf("%s, serial %s, in %d handshakes", certs.Subject(p.Chain[0]), certs.Serial(p.Chain[0]), p.Count))
	}
	if c.Unasked > 0 {
		parts = append(parts, fmt.Sprintf("none in %d handshakes", c.Unasked))
	}
	return strings.Join(parts, "; ")
}

// Finding is the rule that the server asked for the client certificate in every handshake.
func (c *Clients) Finding() engine.Finding {
	f := engine.Finding{Rule: "the server asks for the client certificate in every handshake", Have: c.String(), Holds: c.Unasked == 0 && len(c.Presented) > 0}
	if len(c.Presented) > 1 {
		f.Detail = "the client certificate changed meanwhile"
	}
	if c.Unasked > 0 {
		f.Detail = fmt.Sprintf("%d of the handshakes went without: a client without a certificate is let in then", c.Unasked)
	}
	return f
}

// Clients returns the count of the certificates that clients presented, at addresses and
// at pods.
func (r *Record) Clients() *Clients { return &r.clients }
