package applymanifest

import "github.com/ztplan/ztplan/steps/internal/kubekit"

// Scope implements kubekit.Scoper.
func (s *Spec) Scope() kubekit.Scope {
	scope := kubekit.Scope{Namespaces: []string{s.Namespace}}
	manifests, _ := s.read()
	for _, m := range manifests {
		ref := s.named(m)
		scope.Objects = append(scope.Objects, ref)
		scope.Namespaces = append(scope.Namespaces, ref.Namespace)
	}
	return scope
}
