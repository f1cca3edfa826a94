package curltls

import (
	"context"

	"github.com/ztplan/ztplan/engine"
)

// Permissions implements engine.PermissionNeeder.
func (s *Spec) Permissions(context.Context, *engine.Env, []string) (needed []engine.Permission, notKnown []string) {
	needed = s.Target.Permissions()
	if ref := s.Expect.Certificate.EqualsSecret; ref != nil {
		needed = append(needed, engine.Permission{Verbs: []string{"get"}, Resource: "secrets", Namespace: ref.Namespace, Name: ref.Name, Reason: "compares the certificate with the Secret"})
	}
	return needed, nil
}
