package assertdenied

import (
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/engine"
)

// Checks implements engine.Checker.
func (s *Spec) Checks(unknown []string) []engine.Check {
	var checks []engine.Check
	if s.Dial != nil {
		checks = slices.Concat(s.Dial.TrustInput.Checks("dial.", unknown), s.Dial.Client.Checks("dial.client", unknown))
		for i, a := range s.Attempts {
			if a.Dial != nil {
				checks = append(checks, a.Dial.Client.ChecksOfRefused(fmt.Sprintf("attempts[%d].dial.client", i), unknown)...)
			}
		}
	}
	if s.Login != nil {
		checks = append(checks, s.Vault.Checks("vault", unknown)...)
	}
	return checks
}
