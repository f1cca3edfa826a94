package curltls

import (
	"cmp"
	"crypto/tls"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// record puts every verified connection on record. A connection that failed has
// nothing that could be verified again: its failure is among the findings.
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
	if len(v.conn.Presented) > 0 {
		presented := tlskit.Record(v.conn.Presented)
		h.Client = &presented
	}
	h.Rules = s.recorded(v)
	return h
}

// recorded returns the rules whose verdict follows from plain values.
func (s *Spec) recorded(v *call) []evidence.Rule {
	rules := s.connectionRules()
	if v.response != nil {
		rules = slices.Concat([]rule{statusRule(s.Expect.Status)}, rules)
	}
	var list []evidence.Rule
	for _, r := range rules {
		if r.record != nil {
			list = append(list, r.record(v)...)
		}
	}
	return list
}
