package assertrotation

import (
	"context"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
	"github.com/ztplan/ztplan/steps/internal/rivals"
)

// Useful implements engine.PermissionUser.
func (s *Spec) Useful() []engine.Permission { return rivals.Permissions() }

// Permissions implements engine.PermissionNeeder.
func (s *Spec) Permissions(_ context.Context, _ *engine.Env, unknown []string) (needed []engine.Permission, notKnown []string) {
	needed = slices.Concat(s.Target.Permissions(), s.During.Permissions(), s.TrustInput.Permissions(), s.Client.Permissions(true))
	if s.Service != nil {
		needed = append(needed, kubeaccess.Dial(s.Service.Namespace, s.Service.Name)...) // to tell the replicas apart
		needed = append(needed, engine.Permission{Verbs: []string{"get"}, Resource: "nodes", Reason: "counts the processors of the nodes, for the number of workers"})
	}
	if s.usesVault() {
		needed = append(needed, s.Vault.Permissions()...)
	}
	if !engine.Known("certificate", unknown) {
		return needed, []string{"the Certificate: it is an output of another step"}
	}
	needed = append(needed, certwatch.Permissions(s.Certificate, s.Trigger != triggerWait)...)
	if s.Intermediate != nil {
		for _, ref := range s.Intermediate.Certificates {
			needed = append(needed, certwatch.Permissions(ref, true)...)
		}
	}
	return needed, nil
}
