package assertrotation

import (
	"slices"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// Scope implements kubekit.Scoper.
func (s *Spec) Scope() kubekit.Scope {
	scope := kubekit.Scope{
		Namespaces: []string{s.Certificate.Namespace},
		Objects:    []kubekit.Ref{{APIVersion: "cert-manager.io/v1", Kind: "Certificate", Namespace: s.Certificate.Namespace, Name: s.Certificate.Name}},
	}
	scope.Namespaces = slices.Concat(scope.Namespaces, s.TrustInput.Namespaces(), s.Client.Namespaces())
	if s.Service != nil {
		scope.Namespaces = append(scope.Namespaces, s.Service.Namespace)
	}
	return scope
}

// VaultServer implements vaultkit.User.
func (s *Spec) VaultServer() vaultkit.Server { return s.Vault.Server }
