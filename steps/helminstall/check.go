package helminstall

import (
	"context"
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubecheck"
	"github.com/ztplan/ztplan/steps/session"
)

// Checks implements engine.Checker: the chart can be fetched, and the dependencies of
// its objects are there.
func (s *Spec) Checks(unknown []string) []engine.Check {
	for _, input := range []string{"repo", "chart", "version", "username", "password"} {
		if !engine.Known(input, unknown) {
			return nil
		}
	}
	name := s.source().Name()
	if name == "" {
		name = s.Chart
	}
	title := fmt.Sprintf("chart %s %s", name, s.Version)
	look := func(check func(context.Context, *engine.Env, []kubeaccess.Subject) engine.Verdict) func(context.Context, *engine.Env) engine.Verdict {
		return func(ctx context.Context, env *engine.Env) engine.Verdict {
			e, err := s.expect(ctx, env, unknown)
			if err != nil {
				return engine.Verdict{} // the check of the chart reports it
			}
			return check(ctx, env, e.subjects())
		}
	}
	return []engine.Check{
		{Name: title, Run: s.checkChart},
		{Name: "volumes", Own: true, Target: true, Run: look(kubecheck.DefaultClass)},
		{Name: "node ports", Own: true, Target: true, Run: look(kubecheck.NodePorts)},
	}
}

func (s *Spec) checkChart(ctx context.Context, env *engine.Env) engine.Verdict {
	c, err := chart.Fetch(ctx, env, s.source())
	if err != nil {
		return engine.Failed(err)
	}
	detail := "is there, from " + withoutPassword(c.From)
	if s.Repo != "" && session.Of(env).Mirrored(s.Repo) != s.Repo {
		detail += ", a mirror of " + withoutPassword(s.Repo)
	}
	return engine.Verdict{Level: engine.LevelOK, Detail: detail}
}
