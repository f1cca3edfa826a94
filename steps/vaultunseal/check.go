package vaultunseal

import "github.com/ztplan/ztplan/engine"

// Checks implements engine.Checker.
func (s *Spec) Checks(unknown []string) []engine.Check { return s.Vault.Checks("vault", unknown) }
