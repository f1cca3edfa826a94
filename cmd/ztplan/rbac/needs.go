// Package rbac makes the roles that a plan needs out of the permissions that its steps
// state; see [engine.PermissionNeeder].
package rbac

import (
	"context"
	"fmt"

	"github.com/ztplan/ztplan/cmd/ztplan/planrun"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps/session/cluster"
	"github.com/ztplan/ztplan/steps/session/lease"
)

// A Need is what one part of a run needs.
type Need struct {
	Who         string // "step vault", "the lock"
	Permissions []engine.Permission
	NotKnown    []string // what else it needs and cannot be known before a run
}

// Collect asks the steps of a plan that are not left out. It fetches charts and does
// not contact the cluster. A step comes after those that it needs, since they may bring
// the kinds of its objects.
func Collect(ctx context.Context, env *engine.Env, p *plan.Plan, left map[string]string) []Need {
	var needs []Need
	for _, i := range p.Graph().Order() {
		s := p.Steps[i]
		if left[s.ID] != "" {
			continue
		}
		own := *env
		own.Step = s.ID
		draft, unknown := s.Draft()
		n := Need{Who: "step " + s.ID}
		n.Permissions, n.NotKnown = s.Kind.Permissions(ctx, draft, &own, unknown)
		if ctx.Err() != nil {
			n.NotKnown = []string{fmt.Sprintf("it was not asked: %v", context.Cause(ctx))}
		}
		needs = append(needs, n)
	}
	return needs
}

// NeedsOf are the permissions that a run of the plan needs: those of its steps, of its
// locks and of its evidence.
func NeedsOf(ctx context.Context, env *engine.Env, p *plan.Plan, chosen *plan.Selection, lockNamespace string) []Need {
	list := planrun.Nodes(p, chosen)
	needs := Collect(ctx, env, p, chosen.Left)
	if planrun.WritesToCluster(p, list) {
		lock := Need{Who: "the lock"}
		of := lease.Request{Namespace: lockNamespace, Plan: p.Name}
		lock.Permissions = of.Permissions()
		for _, of.Vault = range planrun.Vaults(p, list) {
			lock.Permissions = append(lock.Permissions, of.Permissions()...)
		}
		needs = append(needs, lock)
	}
	return append(needs, Need{Who: "the report", Permissions: cluster.Permissions(planrun.ReleaseNamespaces(p))})
}
