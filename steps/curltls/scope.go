package curltls

import "github.com/ztplan/ztplan/steps/internal/kubekit"

// Scope implements kubekit.Scoper.
func (s *Spec) Scope() kubekit.Scope {
	var scope kubekit.Scope
	if s.Service != nil {
		scope.Namespaces = append(scope.Namespaces, s.Service.Namespace)
	}
	if ref := s.Expect.Certificate.EqualsSecret; ref != nil {
		scope.Namespaces = append(scope.Namespaces, ref.Namespace)
	}
	return scope
}
