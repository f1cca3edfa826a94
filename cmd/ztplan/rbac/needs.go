// Package rbac makes the roles that a plan needs out of the permissions that its steps
// state; see [engine.PermissionNeeder].
package rbac

import (
	"context"
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
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
