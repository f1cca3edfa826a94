package tlskit

import (
	"crypto/x509"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// Record describes a chain for the evidence of a run: the server's certificate
// and the rest. The zero value stands for an empty chain.
func Record(chain []*x509.Certificate) evidence.Certificate {
	if len(chain) == 0 {
		return evidence.Certificate{}
	}
	leaf := chain[0]
	c := evidence.Certificate{
		PEM: certs.Encode(leaf), Chain: []string{},
		Serial: certs.Serial(leaf), Fingerprint: certs.Fingerprint(leaf), PublicKey: certs.KeyDigest(leaf),
		NotBefore: leaf.NotBefore.UTC(), NotAfter: leaf.NotAfter.UTC(),
	}
	for _, above := range chain[1:] {
		c.Chain = append(c.Chain, certs.Encode(above))
	}
	return c
}

// Record returns the anchors in PEM for the evidence of a run. Of the system's
// roots it is those that the verified chains lead to.
func (t *Trust) Record(verified ...[]*x509.Certificate) []string {
	anchors := t.anchors
	if t.pool == nil {
		seen := make(map[string]bool)
		for _, chain := range verified {
			if n := len(chain); n > 0 && !seen[certs.Fingerprint(chain[n-1])] {
				seen[certs.Fingerprint(chain[n-1])] = true
				anchors = append(anchors, chain[n-1])
			}
		}
	}
	list := make([]string, len(anchors))
	for i, a := range anchors {
		list[i] = certs.Encode(a)
	}
	return list
}

// Record names the class of the failure for the evidence of a run: dial, alert,
// tls (a handshake that failed without an alert), verify, http, or timeout
// for any stage that took too long.
func (f *Failure) Record() string {
	switch {
	case isTimeout(f.err):
		return "timeout"
	case f.Class == ClassTLS && alertOf(f.err) != "":
		return "alert"
	default:
		return string(f.Class)
	}
}
