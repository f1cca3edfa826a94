package lint

import (
	"maps"
	"slices"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
)

// unexpanded: templates in inputs that nothing expands. Values of charts do not count, and
// of manifests only name and namespace: others may expand the rest.
func unexpanded(f *facts) []Finding {
	var out []Finding
	for _, s := range f.plan.Steps {
		if s.Kind == nil {
			continue
		}
		literal := s.Literal()
		delete(literal, map[string]string{"helmInstall": "values", "applyManifest": "manifests"}[s.Kind.Name])
		for _, key := range slices.Sorted(maps.Keys(literal)) {
			for _, path := range rule.Templates(key, literal[key]) {
				out = append(out, at(s, path, "template-text", "", "%s holds a template", path))
			}
		}
	}
	for _, o := range f.objects {
		metadata, _ := o.fields["metadata"].(map[string]any)
		for _, key := range []string{"name", "namespace"} {
			if text, _ := metadata[key].(string); rule.Template(text) {
				out = append(out, o.finding("metadata."+key, "template-text", "", "metadata.%s of a %s is a template", key, o.kind))
			}
		}
	}
	return out
}
