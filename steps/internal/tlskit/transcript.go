package tlskit

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

// Describe returns lines about the network, the handshake and the certificates of a
// connection, as `curl -v` prints them.
func (c *Conn) Describe(now time.Time) []string {
	s := c.State
	lines := []string{
		fmt.Sprintf("connected to %s in %s", c.Remote, round(c.Dialled)),
		fmt.Sprintf("%s, %s, key exchange %s, ALPN %s, handshake in %s",
			tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.CurveID, cmp.Or(s.NegotiatedProtocol, "none"), round(c.Handshake)),
	}
	lines = append(lines, DescribeChain(s.PeerCertificates, now)...)
	switch {
	case len(c.Presented) > 0:
		leaf := c.Presented[0]
		lines = append(lines, fmt.Sprintf("presented the client certificate of %s (%s), sha256 %s", certs.Subject(leaf), remaining(leaf, now), certs.Fingerprint(leaf)))
	case c.Asked:
		lines = append(lines, "the server asked for a client certificate, and there is none")
	}
	anchor := c.Verified[len(c.Verified)-1]
	return append(lines, fmt.Sprintf("verified: %s leads to %s in %d steps", s.ServerName, certs.Subject(anchor), len(c.Verified)-1))
}

// DescribeChain returns some lines about each certificate.
func DescribeChain(chain []*x509.Certificate, now time.Time) []string {
	var lines []string
	for i, c := range chain {
		lines = append(lines,
			fmt.Sprintf("certificate %d: %s", i, certs.Subject(c)),
			fmt.Sprintf("  issuer %s", c.Issuer),
			fmt.Sprintf("  valid  %s to %s (%s)", certs.Stamp(c.NotBefore), certs.Stamp(c.NotAfter), remaining(c, now)),
		)
		if names := certs.Names(c); len(names) > 0 {
			lines = append(lines, "  names  "+strings.Join(names, ", "))
		}
		lines = append(lines,
			fmt.Sprintf("  key    %s, signed with %s", certs.KeyName(c), c.SignatureAlgorithm),
			"  serial "+certs.Serial(c),
			"  sha256 "+certs.Fingerprint(c),
		)
	}
	return lines
}

func remaining(c *x509.Certificate, now time.Time) string {
	switch {
	case now.Before(c.NotBefore):
		return "not valid yet"
	case now.After(c.NotAfter):
		return "expired"
	default:
		return c.NotAfter.Sub(now).Round(time.Second).String() + " left"
	}
}

// DescribeRequest returns the request as `curl -v` shows it. Values of headers
// that carry credentials are left out.
func DescribeRequest(req *http.Request, proto string) []string {
	return append([]string{
		fmt.Sprintf("> %s %s %s", req.Method, req.URL.RequestURI(), proto),
		"> Host: " + req.Host,
	}, describeHeader("> ", req.Header)...)
}

// Describe returns the answer's head and the size of its body.
func (r *Response) Describe() []string {
	lines := append([]string{fmt.Sprintf("< %s %s", r.Proto, r.Status)}, describeHeader("< ", r.Header)...)
	return append(lines, fmt.Sprintf("body of %d bytes", r.Size))
}

func describeHeader(prefix string, h http.Header) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			switch name {
			case "Authorization", "Cookie", "Set-Cookie", "Proxy-Authorization", "X-Api-Key", "X-Vault-Token":
				value = "(not shown)"
			}
			lines = append(lines, prefix+name+": "+value)
		}
	}
	return lines
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
