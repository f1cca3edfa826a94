package curltls

import (
	"slices"

	"github.com/ztplan/ztplan/engine"
)

// Checks implements engine.Checker.
func (s *Spec) Checks(unknown []string) []engine.Check {
	return slices.Concat(s.TrustInput.Checks("", unknown), s.Client.Checks("client", unknown))
}
