package rbac

import (
	"slices"
)

const apiGroup = "rbac.authorization.k8s.io"

// A Subject is who gets a role.
type Subject struct {
	Kind      string // User, Group or ServiceAccount
	Name      string
	Namespace string // of a ServiceAccount
}

// Objects returns the manifests of roles: the namespaces that they are in, the roles,
// and their bindings to subjects, if there are any.
func Objects(roles []Role, subjects []Subject) []map[string]any {
	var list []map[string]any
	for _, ns := range namespaces(roles) {
		list = append(list, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": ns}})
	}
	for _, r := range roles {
		list = append(list, r.object())
	}
	if len(subjects) == 0 {
		return list
	}
	for _, r := range roles {
		list = append(list, r.binding(subjects))
	}
	return list
}

// given are the namespaces that every cluster has.
var given = []string{"default", "kube-node-lease", "kube-public", "kube-system"}

func namespaces(roles []Role) []string {
	var names []string
	for _, r := range roles {
		if r.Namespace != "" && !slices.Contains(given, r.Namespace) {
			names = union(names, []string{r.Namespace})
		}
	}
	return names
}

func (r Role) kind() string {
	if r.Namespace == "" {
		return "ClusterRole"
	}
	return "Role"
}

func (r Role) metadata() map[string]any {
	m := map[string]any{"name": r.Name}
	if r.Namespace != "" {
		m["namespace"] = r.Namespace
	}
	return m
}

func (r Role) object() map[string]any {
	rules := make([]any, len(r.Rules))
	for i, one := range r.Rules {
		rules[i] = one.object()
	}
	return map[string]any{"apiVersion": apiGroup + "/v1", "kind": r.kind(), "metadata": r.metadata(), "rules": rules}
}

func (r Rule) object() map[string]any {
	if len(r.Paths) > 0 {
		return map[string]any{"nonResourceURLs": r.Paths, "verbs": r.Verbs}
	}
	m := map[string]any{"apiGroups": r.Groups, "resources": r.Resources, "verbs": r.Verbs}
	if len(r.Names) > 0 {
		m["resourceNames"] = r.Names
	}
	return m
}

func (r Role) binding(subjects []Subject) map[string]any {
	var list []any
	for _, s := range subjects {
		one := map[string]any{"kind": s.Kind, "name": s.Name}
		if s.Kind == "ServiceAccount" {
			one["namespace"] = s.Namespace
		} else {
			one["apiGroup"] = apiGroup
		}
		list = append(list, one)
	}
	return map[string]any{
		"apiVersion": apiGroup + "/v1", "kind": r.kind() + "Binding", "metadata": r.metadata(),
		"roleRef": map[string]any{"apiGroup": apiGroup, "kind": r.kind(), "name": r.Name}, "subjects": list,
	}
}
