package spec

import (
	"regexp"
)

// hideSecretObjects replaces the values of Kubernetes Secrets that are written
// into a plan: they are in the clear there, but a dry run ends up in logs.
func hideSecretObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if v["kind"] == "Secret" {
			for _, field := range []string{"data", "stringData"} {
				if m, ok := v[field].(map[string]any); ok {
					for k := range m {
						m[k] = secretOf(m[k])
					}
				} else if v[field] != nil {
					v[field] = secretOf(v[field])
				}
			}
			return
		}
		for k, e := range v {
			if text, ok := e.(string); ok && secretDocument.MatchString(text) {
				v[k] = secretOf(text)
				continue
			}
			hideSecretObjects(e)
		}
	case []any:
		for i, e := range v {
			if text, ok := e.(string); ok && secretDocument.MatchString(text) {
				v[i] = secretOf(text)
				continue
			}
			hideSecretObjects(e)
		}
	}
}

// secretDocument finds a Secret in a text of YAML or JSON documents.
var secretDocument = regexp.MustCompile(`(?m)(^|[{,])\s*"?kind"?\s*:\s*["']?Secret\b`)
