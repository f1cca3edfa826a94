package curltls

import (
	"slices"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Scope implements kubekit.Scoper.
func (s *Spec) Scope() kubekit.Scope {
	var scope kubekit.Scope
	if s.Service != nil {
		scope.Namespaces = append(scope.Namespaces, s.Service.Namespace)
	}
	scope.Namespaces = slices.Concat(scope.Namespaces, s.TrustInput.Namespaces(), s.Client.Namespaces())
	if ref := s.Expect.Certificate.EqualsSecret; ref != nil {
		scope.Namespaces = append(scope.Namespaces, ref.Namespace)
	}
	return scope
}
