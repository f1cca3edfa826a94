package applymanifest

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubetypes"
)

// checkTypes reports values that do not fit the type of their field: in objects of
// Kubernetes' own kinds, and in those whose CustomResourceDefinition is among the
// manifests. An unknown field of Kubernetes' own is reported only if it is plainly
// misspelt: see [Spec.UnknownFields].
func checkTypes(manifests []manifest, report func(engine.Problem)) {
	for _, m := range manifests {
		for _, p := range kubetypes.CheckBuiltin(m.obj) {
			if !p.Unknown || p.Misspelt() {
				text, hint := mismatch(p, m.obj.GetKind())
				report(m.problem(p.Field, text, hint))
			}
		}
		i := slices.IndexFunc(manifests, func(o manifest) bool { return defines(o.obj, m.obj.GroupVersionKind()) })
		if i < 0 {
			continue
		}
		pending := kubekit.PendingCRD{CRD: manifests[i].obj, From: "this step"}
		problems, err := pending.Check(m.obj)
		if err != nil {
			continue // the API server is asked
		}
		for _, p := range problems {
			text, hint := refusedByCRD(p, pending)
			report(m.problem(p.Field, text, hint))
		}
	}
}

// UnknownFields returns the fields of Kubernetes' own kinds that its client library
// does not know and that are not plainly misspelt. A newer API server may have them:
// the dry run asks it.
func (s *Spec) UnknownFields() []engine.Problem {
	manifests, _ := s.read()
	var problems []engine.Problem
	for _, m := range manifests {
		for _, p := range kubetypes.CheckBuiltin(m.obj) {
			if p.Unknown && !p.Misspelt() {
				text, hint := mismatch(p, m.obj.GetKind())
				problems = append(problems, m.problem(p.Field, text, hint))
			}
		}
	}
	return problems
}

// problem reports something wrong with a field of the object, where it is written.
func (m manifest) problem(field, text, hint string) engine.Problem {
	steps := fieldPath(field)
	at := m.source
	if m.node != nil {
		at = at.at(key(m.node, steps))
	} else {
		var n yaml.Node
		if n.Encode(m.obj.Object) == nil {
			if _, in := locate(&n, steps); in != "" && !strings.HasPrefix(in, "[") {
				at.field += "." + in
			} else {
				at.field += in
			}
		}
	}
	p := at.problem("%s: %s", kubekit.RefOf(m.obj), text)
	p.Hint = hint
	return p
}
