package openapitest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mend changes the field of an error of the API server: it puts in a field that
// is required, takes one of the values that are supported, and removes any other field
// that is refused. It reports whether it changed anything.
func (g *generator) mend(object, schema map[string]any, c metav1.StatusCause) bool {
	var parts []string
	for _, p := range pathParts.FindAllString(c.Field, -1) {
		parts = append(parts, strings.Trim(p, `[]"`))
	}
	if len(parts) == 0 || slices.Contains([]string{"apiVersion", "kind", "metadata"}, parts[0]) && len(parts) < 3 {
		return false
	}
	parent, last := at(object, parts[:len(parts)-1]), parts[len(parts)-1]
	m, _ := parent.(map[string]any)
	_, there := m[last]
	switch {
	case m != nil && c.Type == metav1.CauseTypeFieldValueRequired && empty(m[last]):
		if s := g.schemaAt(schema, parts); s != nil {
			for range 10 { // many values are empty by chance
				if m[last] = g.value(s, last, 1); !empty(m[last]) {
					break
				}
			}
			return true
		}
	case m != nil && there && c.Type == metav1.CauseTypeFieldValueNotSupported:
		_, list, _ := strings.Cut(c.Message, "supported values: ")
		if values := quoted.FindAllStringSubmatch(list, -1); len(values) > 0 {
			m[last] = values[g.IntN(len(values))][1]
			return true
		}
	}
	if m != nil && m[last] == "" && c.Type == metav1.CauseTypeFieldValueInvalid {
		m[last] = "a"
		return true
	}
	for n := len(parts); n > 0; n-- {
		if remove(object, parts[:n]) {
			return true
		}
	}
	return false
}

var (
	pathParts = regexp.MustCompile(`\[[^\]]*\]|[^.\[\]]+`)
	quoted    = regexp.MustCompile(`"([^"]*)"`)
)

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// at returns the value at a path, nil if there is none.
func at(v any, parts []string) any {
	for _, part := range parts {
		switch in := v.(type) {
		case map[string]any:
			v = in[part]
		case []any:
			n, err := strconv.Atoi(part)
			if err != nil || n >= len(in) {
				return nil
			}
			v = in[n]
		default:
			return nil
		}
	}
	return v
}

// schemaAt returns the schema of a field, nil if there is none.
func (g *generator) schemaAt(schema map[string]any, parts []string) map[string]any {
	for _, part := range parts {
		schema, _ = g.resolve(schema)
		if items, ok := schema["items"].(map[string]any); ok {
			schema = items
			continue
		}
		properties, _ := schema["properties"].(map[string]any)
		next, _ := properties[part].(map[string]any)
		if next == nil {
			return nil
		}
		schema = next
	}
	return schema
}

// remove removes a field, or an element of a list, and reports whether it was
// there.
func remove(object map[string]any, parts []string) bool {
	last := parts[len(parts)-1]
	switch in := at(object, parts[:len(parts)-1]).(type) {
	case map[string]any:
		_, there := in[last]
		delete(in, last)
		return there
	case []any:
		n, err := strconv.Atoi(last)
		if err != nil || n >= len(in) {
			return false
		}
		holder, _ := at(object, parts[:max(len(parts)-2, 0)]).(map[string]any)
		if holder == nil {
			return false
		}
		holder[parts[len(parts)-2]] = append(in[:n:n], in[n+1:]...)
		return true
	}
	return false
}
