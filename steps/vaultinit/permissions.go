package vaultinit

import (
	"context"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
)

// Permissions implements engine.PermissionNeeder.
func (s *Spec) Permissions(context.Context, *engine.Env, []string) (needed []engine.Permission, notKnown []string) {
	needed = append(append(s.Vault.Permissions(), s.Vault.NodesPermissions()...), s.Keys.Permissions()...)
	if s.Vault.InCluster() != "" {
		needed = append(needed, kubeaccess.VolumeClaims(s.Vault.Service.Namespace, "asks whether a pod of Vault that is not made yet has data"))
	}
	return needed, nil
}
