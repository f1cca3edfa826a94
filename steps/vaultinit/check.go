package vaultinit

import "github.com/ztplan/ztplan/engine"

// Checks implements engine.Checker.
func (s *Spec) Checks(unknown []string) []engine.Check {
	return append(s.Vault.Checks("vault", unknown), s.Keys.Checks("keys", unknown)...)
}
