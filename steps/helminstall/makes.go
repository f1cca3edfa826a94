package helminstall

import (
	"context"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// MayMake implements engine.Maker: the objects of the chart, once it is rendered.
func (s *Spec) MayMake(env *engine.Env, _ []string, thing string, done bool) bool {
	catalogue, err := kubekit.CatalogueOf(context.Background(), env)
	if err != nil {
		return !done
	}
	return catalogue.MayMake(env.Step, thing, done)
}
