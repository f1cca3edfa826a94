package helminstall

import (
	"context"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Claims implements engine.Claimer: the release. Its objects are claimed when the
// chart is rendered.
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

// MayMake implements engine.Maker: the objects of the chart, once it is rendered.
func (s *Spec) MayMake(env *engine.Env, _ []string, thing string, done bool) bool {
	catalogue, err := kubekit.CatalogueOf(context.Background(), env)
	if err != nil {
		return !done
	}
	return catalogue.MayMake(env.Step, thing, done)
}

// Scope implements kubekit.Scoper.
func (s *Spec) Scope() kubekit.Scope { return kubekit.Scope{Namespaces: []string{s.Namespace}} }
