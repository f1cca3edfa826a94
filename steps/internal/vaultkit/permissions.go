package vaultkit

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
)

// Permissions are needed to reach Vault: none if it has an address.
func (s Server) Permissions() []engine.Permission {
	if s.InCluster() == "" {
		return nil
	}
	return kubeaccess.Dial(s.Service.Namespace, s.Service.Name)
}
