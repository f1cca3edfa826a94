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

// A Need has the permissions that one part of a run needs.
type Need struct {
	Who         string // "step vault", "the lock"
	Step        string // "" for a part that is no step
	Permissions []engine.Permission
	NotKnown    []string            // further permissions, which cannot be known before a run
	Useful      []engine.Permission // those that it uses and does not need
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
		n := Need{Who: "step " + s.ID, Step: s.ID}
		n.Permissions, n.NotKnown = s.Kind.Permissions(ctx, draft, &own, unknown)
		if u, ok := draft.(engine.PermissionUser); ok {
			n.Useful = u.Useful()
		}
		if ctx.Err() != nil {
			n.NotKnown = []string{fmt.Sprintf("it was not asked: %v", context.Cause(ctx))}
		}
		needs = append(needs, n)
	}
	return needs
}

// Options are the inputs of the permissions beside the plan.
type Options struct {
	LockNamespace string // of the Lease of a run
	Installed     bool   // read the installed releases, for the objects that a run removes
}

// NeedsOf are the permissions that a run of the plan needs: those of its steps, of its
// locks and of its evidence.
func NeedsOf(ctx context.Context, env *engine.Env, p *plan.Plan, chosen *plan.Selection, o Options) []Need {
	list := planrun.Nodes(p, chosen)
	needs := Collect(ctx, env, p, chosen.Left)
	for i := range needs {
		needs[i].addRemovals(ctx, env, p, o.Installed)
	}
	if planrun.WritesToCluster(p, list) {
		lock := Need{Who: "the lock"}
		of := lease.Request{Namespace: o.LockNamespace, Plan: p.Name}
		lock.Permissions = of.Permissions()
		for _, of.Vault = range planrun.Vaults(p, list) {
			lock.Permissions = append(lock.Permissions, of.Permissions()...)
		}
		needs = append(needs, lock)
	}
	return append(needs, Need{Who: "the report", Permissions: cluster.Permissions(planrun.ReleaseNamespaces(p))})
}

// addRemovals adds the permissions of the step to remove things that it made before.
func (n *Need) addRemovals(ctx context.Context, env *engine.Env, p *plan.Plan, installed bool) {
	draft, unknown := p.Step(n.Step).Draft()
	r, ok := draft.(engine.Remover)
	switch {
	case !ok:
	case !installed:
		n.NotKnown = append(n.NotKnown, "objects that an upgrade removes, on which it needs delete: ztplan rbac --installed reads what is installed")
	default:
		own := *env
		own.Step = n.Step
		needed, err := r.Removals(ctx, &own, unknown)
		if err != nil {
			n.NotKnown = append(n.NotKnown, "objects that an upgrade removes, on which it needs delete: "+err.Error())
		}
		n.Permissions = append(n.Permissions, needed...)
	}
}
