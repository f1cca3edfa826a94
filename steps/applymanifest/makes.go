package applymanifest

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// MayMake implements engine.Maker: the objects of the manifests.
func (s *Spec) MayMake(_ *engine.Env, unknown []string, thing string, done bool) bool {
	for _, input := range []string{"namespace", "manifests", "files"} {
		if !engine.Known(input, unknown) {
			return !done
		}
	}
	manifests, _ := s.read()
	var made kubekit.Makings
	for _, m := range manifests {
		made.Add(s.named(m), m.obj)
	}
	return made.May(thing, done)
}
