package vaultunseal

import (
	"context"

	"github.com/ztplan/ztplan/engine"
)

// Permissions implements engine.PermissionNeeder.
func (s *Spec) Permissions(context.Context, *engine.Env, []string) (needed []engine.Permission, notKnown []string) {
	needed = append(append(s.Vault.Permissions(), s.Vault.NodesPermissions()...), s.Keys.Permissions()...)
	if s.OnDelete == restartOutdated {
		needed = append(needed, engine.Permission{
			Verbs: []string{"delete"}, Resource: "pods", Namespace: s.Vault.Service.Namespace, Reason: "deletes pods that an upgrade has not reached", Write: true,
		})
	}
	return needed, nil
}
