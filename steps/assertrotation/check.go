package assertrotation

import "github.com/ztplan/ztplan/engine"

// Checks implements engine.Checker.
func (s *Spec) Checks(unknown []string) []engine.Check {
	checks := append(s.TrustInput.Checks("", unknown), s.Client.Checks("client", unknown)...)
	if s.usesVault() {
		checks = append(checks, s.Vault.Checks("vault", unknown)...)
	}
	return checks
}

// usesVault reports whether the proof asks Vault for something.
func (s *Spec) usesVault() bool {
	return s.During != nil && s.During.Keys != nil || s.Intermediate != nil
}
