package vaultunseal

import (
	"context"

	"github.com/ztplan/ztplan/engine"
)

// Permissions implements engine.PermissionNeeder.
func (s *Spec) Permissions(context.Context, *engine.Env, []string) (needed []engine.Permission, notKnown []string) {
	return append(append(s.Vault.Permissions(), s.Vault.NodesPermissions()...), s.Keys.Permissions()...), nil
}
