package k8sauth

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
)

// Permissions implements engine.PermissionNeeder.
func (s *Spec) Permissions(_ context.Context, _ *engine.Env, unknown []string) (needed []engine.Permission, notKnown []string) {
	needed = s.Vault.Permissions()
	a := s.ServiceAccount
	switch {
	case !engine.Known("serviceAccount", unknown) || !engine.Known("tokenRequest", unknown):
		return needed, []string{"the ServiceAccount and its Role: they have outputs of other steps in them"}
	case a == nil:
		return needed, nil
	}
	object := func(group, resource, name string, writes bool) {
		p := engine.Permission{Verbs: []string{"get"}, Group: group, Resource: resource, Namespace: a.Namespace, Name: name, Reason: "compares and makes " + resource + " " + name}
		needed = append(needed, p)
		if p.Verbs, p.Write = []string{"patch", "create"}, true; writes {
			needed = append(needed, p)
		}
	}
	object("", "serviceaccounts", a.Name, a.Create == nil || *a.Create)
	if s.TokenRequest == nil {
		return needed, nil
	}
	object(rbacv1.GroupName, "roles", a.grantName(), true)
	object(rbacv1.GroupName, "rolebindings", a.grantName(), true)
	for _, r := range s.rules() {
		needed = append(needed, kubeaccess.Given(r, a.Namespace, "Role "+a.grantName())...)
	}
	return needed, nil
}
