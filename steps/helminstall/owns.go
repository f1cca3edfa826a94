package helminstall

import (
	"slices"
	"strings"
)

const releases = "release/"

func releasePath(namespace, name string) string { return releases + namespace + "/" + name }

// Owns implements engine.Owner. Which objects a release has is known to its
// chart and, of those that it dropped, Helm takes care; so only another release
// is not the step's.
func (s *Spec) Owns(unknown []string) func(path string) bool {
	for _, input := range []string{"repo", "chart", "release", "namespace"} {
		if slices.Contains(unknown, input) {
			return nil
		}
	}
	name := s.releaseName()
	if name == "" {
		return func(string) bool { return true } // the chart has the name
	}
	own := releasePath(s.Namespace, name)
	return func(path string) bool { return path == own || !strings.HasPrefix(path, releases) }
}
