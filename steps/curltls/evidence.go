package curltls

import (
	"cmp"
	"crypto/tls"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// record puts every verified connection on record. One that did not come about
// has nothing that could be verified again: its failure is among the findings.
func (s *Spec) record(env *engine.Env, calls []*call, trust *tlskit.Trust) {
	if env.Record == nil {
		return
	}
	for _, v := range calls {
		if v.conn != nil {
			env.Record(evidence.RecordHandshake, s.handshake(v, trust))
		}
	}
}

func (s *Spec) handshake(v *call, trust *tlskit.Trust) evidence.Handshake {
	h := evidence.Handshake{
		URL: s.URL, Address: cmp.Or(v.conn.Remote, v.name),
		TLS: tls.VersionName(v.conn.State.Version), Cipher: tls.CipherSuiteName(v.conn.State.CipherSuite), Protocol: v.protocol(),
		Trust: trust.Record(v.conn.Verified), Certificate: tlskit.Record(v.conn.State.PeerCertificates),
		At: v.at,
	}
	if u, err := tlskit.ParseURL(s.URL); err == nil {
		h.URL = u.String()
	}
	if v.response != nil {
		h.Status = v.response.Code
	}
	h.Rules = s.recorded(v)
	return h
}

// recorded renders the rules whose verdict follows from two plain values; the
// others (patterns, headers, body) are among the findings only.
func (s *Spec) recorded(v *call) []evidence.Rule {
	var list []evidence.Rule
	add := func(name string, limit, saw any) {
		r := evidence.Rule{Name: name, Limit: limit, Saw: saw}
		r.Holds, _ = r.Verdict() // both are always there and alike
		list = append(list, r)
	}
	leaf, e := v.conn.Leaf(), s.Expect
	if v.response != nil {
		if e.Status != 0 {
			add("status", e.Status, v.response.Code)
		} else {
			add("maxStatus", 399, v.response.Code)
		}
	}
	if e.TLS != "" {
		least := tls.VersionTLS12
		if e.TLS == "1.3" {
			least = tls.VersionTLS13
		}
		add("minTLS", least, int(v.conn.State.Version))
	}
	if e.Protocol != "" {
		add("protocol", e.Protocol, v.protocol())
	}
	c := e.Certificate
	if c.CommonName != "" {
		add("commonName", c.CommonName, leaf.Subject.CommonName)
	}
	for _, name := range c.DNSNames {
		add("containsName", name, leaf.DNSNames)
	}
	if c.ChainLength > 0 {
		add("chainLength", c.ChainLength, len(v.conn.State.PeerCertificates))
	}
	if c.MinRemaining > 0 {
		add("minRemaining", c.MinRemaining.Std().Seconds(), leaf.NotAfter.Sub(v.at).Truncate(1e9).Seconds())
	}
	if c.MaxLifetime > 0 {
		add("maxLifetime", c.MaxLifetime.Std().Seconds(), leaf.NotAfter.Sub(leaf.NotBefore).Seconds())
	}
	if c.Serial != "" {
		add("serial", certs.NormalHex(c.Serial), certs.NormalHex(certs.Serial(leaf)))
	}
	if c.NotSerial != "" {
		add("notSerial", certs.NormalHex(c.NotSerial), certs.NormalHex(certs.Serial(leaf)))
	}
	if c.EqualsSecret != nil && v.secret != nil {
		add("equalsSecret", certs.Fingerprint(v.secret), certs.Fingerprint(leaf))
	}
	return list
}
