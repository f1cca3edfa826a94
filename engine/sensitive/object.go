package sensitive

import "regexp"

// HideObjects replaces the values of Secrets of Kubernetes, and texts that hold such an
// object, anywhere in plain data by the results of hide.
func HideObjects(v any, hide func(any) any) {
	switch v := v.(type) {
	case map[string]any:
		if v["kind"] == "Secret" {
			for _, field := range []string{"data", "stringData"} {
				if m, ok := v[field].(map[string]any); ok {
					for k := range m {
						m[k] = hide(m[k])
					}
				} else if v[field] != nil {
					v[field] = hide(v[field])
				}
			}
			return
		}
		for k, e := range v {
			if text, ok := e.(string); ok && secretDocument.MatchString(text) {
				v[k] = hide(text)
				continue
			}
			HideObjects(e, hide)
		}
	case []any:
		for i, e := range v {
			if text, ok := e.(string); ok && secretDocument.MatchString(text) {
				v[i] = hide(text)
				continue
			}
			HideObjects(e, hide)
		}
	}
}

// secretDocument finds a Secret in a text of YAML or JSON documents.
var secretDocument = regexp.MustCompile(`(?m)(^|[{,])\s*"?kind"?\s*:\s*["']?Secret\b`)
