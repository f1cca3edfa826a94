package curltls

import (
	"context"
	"slices"

	"github.com/ztplan/ztplan/engine"
)

// Permissions implements engine.PermissionNeeder.
func (s *Spec) Permissions(context.Context, *engine.Env, []string) (needed []engine.Permission, notKnown []string) {
	needed = slices.Concat(s.Target.Permissions(), s.TrustInput.Permissions(), s.Client.Permissions(false))
	if ref := s.Expect.Certificate.EqualsSecret; ref != nil {
		needed = append(needed, engine.Permission{Verbs: []string{"get"}, Resource: "secrets", Namespace: ref.Namespace, Name: ref.Name, Reason: "compares the certificate with the Secret"})
	}
	return needed, nil
}
