package kubefields

import (
	"maps"
	"strings"
)

// ListItems returns the items of a list as kubectl unfolds it, which needs no
// more than a list under items: a v1 List, or one of a kind of its own such as a
// RoleList. Items with neither apiVersion nor kind get those of the list. It
// is false for anything else. A list may have lists among its items.
func ListItems(content map[string]any) (items []any, ok bool) {
	v, found := content["items"]
	items, ok = v.([]any)
	if !ok {
		return nil, found && v == nil
	}
	kind, _ := content["kind"].(string)
	kind = strings.TrimSuffix(kind, "List")
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = item
		m, ok := item.(map[string]any)
		if !ok || kind == "" || m["apiVersion"] != nil || m["kind"] != nil {
			continue
		}
		m = maps.Clone(m)
		m["apiVersion"], m["kind"] = content["apiVersion"], kind
		out[i] = m
	}
	return out, true
}
