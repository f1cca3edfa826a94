package helminstall

import (
	"github.com/ztplan/ztplan/engine"
)

// Claims implements engine.Claimer: the release. Its objects are known to its chart.
func (s *Spec) Claims(_ string, unknown []string) []engine.Claim {
	for _, input := range []string{"repo", "chart", "release", "namespace", "version", "values", "valuesFiles"} {
		if !engine.Known(input, unknown) {
			return nil
		}
	}
	name := s.releaseName()
	if name == "" {
		return nil
	}
	return []engine.Claim{{
		Path:  releasePath(s.Namespace, name),
		Want:  map[string]any{"chart": s.source(), "version": s.Version, "values": s.Values, "files": s.ValuesFiles},
		Field: "chart",
	}}
}
