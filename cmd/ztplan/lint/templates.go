package lint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/helminstall"
)

// action is one of a template of Helm or Jinja, other than those of Vault, which expands
// {{identity.…}} in policies and in the names of roles.
var action = regexp.MustCompile(`\{\{-?\s*(?:[^{}\s-]|-\d)[^{}]*\}\}|\{%-?\s*[a-z][^{}]*%\}`)

var vaultAction = regexp.MustCompile(`^\{\{\s*identity\.`)

// unexpanded: templates in inputs that nothing expands. Texts that others may expand do not
// count: values of charts, manifests but for what the API server takes as it is, and bodies
// of requests.
func unexpanded(f *facts) []Finding {
	var out []Finding
	for _, s := range f.plan.Steps {
		if s.Kind == nil {
			continue
		}
		free := "" // the input whose texts others may expand
		switch spec, _ := s.Draft(); spec.(type) {
		case *helminstall.Spec:
			free = "values"
		case *applymanifest.Spec:
			free = "manifests"
		}
		inputs := s.Literal()
		for _, key := range slices.Sorted(maps.Keys(inputs)) {
			if key != free {
				out = unexpandedIn(out, s, key, inputs[key])
			}
		}
	}
	for _, o := range f.objects {
		metadata, _ := o.fields["metadata"].(map[string]any)
		for _, key := range []string{"name", "namespace"} {
			if text, _ := metadata[key].(string); isTemplate(text) {
				out = append(out, o.finding("metadata."+key, "template-text", "", "metadata.%s of a %s is a template", key, o.kind))
			}
		}
	}
	return out
}

// unexpandedIn adds the findings in an input and below it.
func unexpandedIn(out []Finding, s *plan.Step, field string, value any) []Finding {
	switch v := value.(type) {
	case string:
		if isTemplate(v) {
			out = append(out, at(s, field, "template-text", "", "%s holds a template", field))
		}
	case []any:
		for i, item := range v {
			out = unexpandedIn(out, s, fmt.Sprintf("%s[%d]", field, i), item)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if key != "body" {
				out = unexpandedIn(out, s, field+"."+key, v[key])
			}
		}
	}
	return out
}

// isTemplate reports whether a text has an action of a template in it.
func isTemplate(text string) bool {
	return slices.ContainsFunc(action.FindAllString(text, -1), func(a string) bool { return !vaultAction.MatchString(a) })
}
