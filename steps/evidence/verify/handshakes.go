package verify

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// trusted verifies that a certificate leads to the trust, unless the step failed,
// perhaps for that reason.
func (v *verifier) trusted(c *Check, at, step string, ref evidence.CertificateRef, trust []string, server string, when time.Time) {
	if err := v.chain(ref, trust, server, when); err != nil && (v.states[step] != "failed" || errors.Is(err, errNotOnRecord)) {
		c.add("%s: %v", at, err)
	}
}

var errNotOnRecord = errors.New("is not on record")

// chain verifies a certificate with its chain against the trust on record.
func (v *verifier) chain(ref evidence.CertificateRef, trust []string, server string, at time.Time) error {
	leaf, roots, between := v.certs[ref.Fingerprint], x509.NewCertPool(), x509.NewCertPool()
	if leaf == nil {
		return fmt.Errorf("certificate %s %w", short(ref.Fingerprint), errNotOnRecord)
	}
	for _, f := range trust {
		if v.certs[f] == nil {
			return fmt.Errorf("root %s %w", short(f), errNotOnRecord)
		}
		roots.AddCert(v.certs[f])
	}
	for _, f := range ref.Chain {
		if v.certs[f] == nil {
			return fmt.Errorf("certificate %s of the chain %w", short(f), errNotOnRecord)
		}
		between.AddCert(v.certs[f])
	}
	_, err := leaf.Verify(x509.VerifyOptions{DNSName: server, Roots: roots, Intermediates: between, CurrentTime: at})
	return err
}

func (v *verifier) mark(refs []evidence.CertificateRef, trust []string) {
	for _, r := range refs {
		v.used[r.Fingerprint] = true
		for _, f := range r.Chain {
			v.used[f] = true
		}
	}
	for _, f := range trust {
		v.used[f] = true
	}
}

func (v *verifier) handshakes() Check {
	c := Check{Name: "handshakes", Did: display.Count(len(v.doc.Handshakes), "handshake") + ": chains lead to the trust at the time, rules computed from limit and measurement"}
	last := make(map[string]int) // a proof may have tried before
	for i, h := range v.doc.Handshakes {
		at := fmt.Sprintf("step %s: %s at %s", h.Step, h.URL, h.Address)
		v.known(&c, h.Step)
		v.within(&c, at, h.At)
		v.mark(append(refs(h.Client), h.Certificate), h.Trust)
		v.presented(&c, at, refs(h.Client), h.Rules)
		u, err := url.Parse(h.URL)
		if err != nil || u.Hostname() == "" {
			c.add("%s: no host in the URL", at)
			continue
		}
		if h.Address == "" || h.TLS == "" || h.Cipher == "" {
			c.add("%s: address, TLS version or cipher is missing", at)
		}
		v.trusted(&c, at, h.Step, h.Certificate, h.Trust, u.Hostname(), h.At)
		v.rules(&c, at, h.Rules)
		for _, r := range h.Rules {
			if r.Name == "status" && !evidence.Equal(r.Saw, h.Status) {
				c.add("%s: the rule saw status %v, the handshake %d", at, r.Saw, h.Status)
			}
		}
		last[h.Step+"\x00"+h.Address] = i
	}
	for i, h := range v.doc.Handshakes {
		if v.states[h.Step] == "proved" && last[h.Step+"\x00"+h.Address] == i {
			v.allHold(&c, fmt.Sprintf("step %s: %s at %s", h.Step, h.URL, h.Address), h.Rules)
		}
	}
	return c
}

// presented verifies that the certificates which clients presented are on record, and that
// the rule about them agrees.
func (v *verifier) presented(c *Check, at string, clients []evidence.CertificateRef, rules []evidence.Rule) {
	for _, r := range clients {
		if v.certs[r.Fingerprint] == nil {
			c.add("%s: client certificate %s %v", at, short(r.Fingerprint), errNotOnRecord)
		}
	}
	for _, r := range rules {
		if r.Name == "maxUnasked" && evidence.Equal(r.Saw, 0) && len(clients) == 0 {
			c.add("%s: every handshake asked for a client certificate, and none is on record", at)
		}
		if r.Name == "clientAsked" && evidence.Equal(r.Saw, true) != (len(clients) > 0) {
			c.add("%s: the rule clientAsked saw %v, and %d client certificates were presented", at, r.Saw, len(clients))
		}
	}
}

// rules computes every verdict again.
func (v *verifier) rules(c *Check, at string, rules []evidence.Rule) {
	for _, r := range rules {
		holds, err := r.Verdict()
		switch {
		case err != nil:
			c.add("%s: %v", at, err)
		case holds != r.Holds:
			c.add("%s: rule %s with limit %v and %v seen is %t, recorded %t", at, r.Name, r.Limit, r.Saw, holds, r.Holds)
		}
	}
}

func (v *verifier) allHold(c *Check, at string, rules []evidence.Rule) {
	for _, r := range rules {
		if !r.Holds {
			c.add("%s: the step is proved, but rule %s does not hold", at, r.Name)
		}
	}
}
