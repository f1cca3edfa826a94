package pkiroot

import (
	"slices"

	"github.com/ztplan/ztplan/engine"
)

// Claims implements engine.Claimer. A mount has one default issuer, so two steps
// with roots of different names in one mount claim it differently.
func (s *Spec) Claims(plan string, unknown []string) []engine.Claim {
	name := s.issuerName(&engine.Env{Plan: plan})
	own := []engine.Claim{{Path: s.Mount + "/config/issuers/default", Want: name, Field: "issuerName"}}
	if engine.Known("subject", unknown) && engine.Known("ttl", unknown) {
		own = append(own, engine.Claim{Path: s.Mount + "/issuer/" + name, Want: s.authority(), Field: "commonName"})
	}
	return s.Vault.Claims("vault", unknown, slices.Concat(s.mount().Claims(), s.URLs.Claims(s.Mount), own))
}
