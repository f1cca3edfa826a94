package applymanifest

import (
	"context"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubecheck"
)

// Checks implements engine.Checker: the dependencies of the objects are there. An object
// of which a field is not known is left out.
func (s *Spec) Checks(unknown []string) []engine.Check {
	look := func(check func(context.Context, *engine.Env, []kubeaccess.Subject) engine.Verdict) func(context.Context, *engine.Env) engine.Verdict {
		return func(ctx context.Context, env *engine.Env) engine.Verdict {
			manifests := s.whole(unknown)
			catalogue, err := kubekit.CatalogueOf(ctx, env)
			if err != nil {
				return engine.NotChecked(err)
			}
			subjects := make([]kubeaccess.Subject, len(manifests))
			for i, m := range manifests {
				subjects[i] = kubeaccess.NewSubject(catalogue, m.obj, (&run{spec: s}).namespace(), "")
			}
			return check(ctx, env, subjects)
		}
	}
	return []engine.Check{
		{Name: "volumes", Own: true, Target: true, Run: look(kubecheck.DefaultClass)},
		{Name: "node ports", Own: true, Target: true, Run: look(kubecheck.NodePorts)},
	}
}
