// Package planrun makes the nodes of a run from a plan, and finds the systems that such a
// run may write to.
package planrun

import (
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/helminstall"
)

// Nodes hands the plan's steps to the engine.
func Nodes(p *plan.Plan, chosen *plan.Selection) []run.Node {
	out := make([]run.Node, len(p.Steps))
	for i, s := range p.Steps {
		out[i] = run.Node{
			ID: s.ID, Kind: s.Kind, Policy: s.Policy, Position: s.Position.String(),
			Needs: s.Needs, Refs: s.DataNeeds(), Skip: chosen.Left[s.ID],
			Spec:    func(o run.Outputs) (any, error) { return s.Spec(o) },
			Preview: func() any { spec, _ := s.Draft(); return spec },
			Literal: func() any { return s.Literal() },
			Known:   s.Knows,
			MayMake: func(env *engine.Env, thing string, done bool) bool {
				spec, unknown := s.Draft()
				m, makes := spec.(engine.Maker)
				return makes && m.MayMake(env, unknown, thing, done)
			},
		}
		if s.When != nil {
			out[i].When = func(o run.Outputs) (bool, error) { return s.When.Eval(o) }
		}
	}
	return out
}

// WritesToCluster reports whether a step of the run may write to the cluster, or
// through it.
func WritesToCluster(p *plan.Plan, nodes []run.Node) bool {
	return slices.ContainsFunc(Writers(nodes), func(n run.Node) bool {
		return n.Kind.WritesToTarget(p.Step(n.ID).Draft())
	})
}

// Writers are the steps of a run that may write.
func Writers(nodes []run.Node) []run.Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n run.Node) bool {
		return n.Skip != "" || n.Kind.Proof && len(n.Kind.Changes(n.Preview())) == 0
	})
}

// Vaults are the Vaults that a run may change through the cluster, as
// "namespace/name" of their Services, in order.
func Vaults(p *plan.Plan, nodes []run.Node) []string {
	var all []string
	for _, n := range Writers(nodes) {
		spec, _ := p.Step(n.ID).Draft()
		if u, ok := spec.(engine.ServerUser); ok && u.ServerInTarget() != "" {
			all = append(all, u.ServerInTarget())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ReleaseNamespaces returns the namespaces of the plan's Helm releases, as far
// as they are in the plan.
func ReleaseNamespaces(p *plan.Plan) []string {
	var out []string
	for _, s := range p.Steps {
		draft, unknown := s.Draft()
		spec, ok := draft.(*helminstall.Spec)
		if ok && !slices.Contains(unknown, "namespace") && !slices.Contains(out, spec.Namespace) {
			out = append(out, spec.Namespace)
		}
	}
	slices.Sort(out)
	return out
}
