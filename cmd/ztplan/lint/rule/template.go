package rule

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

var (
	// action is one of a template of Helm or Jinja, or of Vault.
	action = regexp.MustCompile(`\{\{-?\s*(?:[^{}\s-]|-\d)[^{}]*\}\}|\{%-?\s*[a-z][^{}]*%\}`)
	// vaultAction matches the templates that Vault expands in policies and in names of roles.
	vaultAction = regexp.MustCompile(`^\{\{\s*identity\.`)
)

// Template reports whether a text has an action of a template of Helm or Jinja in it.
func Template(text string) bool {
	return slices.ContainsFunc(action.FindAllString(text, -1), func(a string) bool { return !vaultAction.MatchString(a) })
}

// Templates returns the paths of the texts in an input, and below it, that have templates in
// them. A body of a request may be one for its receiver, and does not count.
func Templates(field string, value any) (paths []string) {
	switch v := value.(type) {
	case string:
		if Template(v) {
			paths = append(paths, field)
		}
	case []any:
		for i, item := range v {
			paths = append(paths, Templates(fmt.Sprintf("%s[%d]", field, i), item)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if key != "body" {
				paths = append(paths, Templates(field+"."+key, v[key])...)
			}
		}
	}
	return paths
}
