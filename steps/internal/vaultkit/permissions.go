package vaultkit

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
)

// Permissions are needed to reach Vault: none if it has an address, and an authority that
// is not in the cluster.
func (s Server) Permissions() []engine.Permission {
	needed := s.TrustFrom.Permissions()
	if s.InCluster() != "" {
		needed = append(needed, kubeaccess.Dial(s.Service.Namespace, s.Service.Name)...)
	}
	return needed
}
