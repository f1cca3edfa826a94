package vaultinit

import (
	"slices"

	"github.com/ztplan/ztplan/engine"
)

// Claims implements engine.Claimer: Vault is initialised once, and a sink holds the keys of
// one Vault.
func (s *Spec) Claims(_ string, unknown []string) []engine.Claim {
	if !s.Vault.Identified("vault", unknown) {
		return nil
	}
	var own []engine.Claim
	if engine.Known("shares", unknown) && engine.Known("threshold", unknown) && engine.Known("keys", unknown) {
		own = append(own, engine.Claim{Path: "sys/init", Want: []any{s.Shares, s.Threshold, s.Keys.String()}, Field: "keys"})
	}
	return slices.Concat(s.Vault.Claims("vault", unknown, own), s.Keys.Claims("keys", "keys of "+s.Vault.ID(), unknown))
}
