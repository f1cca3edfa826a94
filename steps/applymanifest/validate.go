package applymanifest

import (
	"fmt"

	"github.com/ztplan/ztplan/engine"
)

// Validate reads the manifests, which are beside the plan or in it.
func (s *Spec) Validate(p *engine.Problems) {
	if len(s.Files) == 0 && s.Manifests == nil {
		p.AddProblem(engine.Problem{
			Field:   "manifests",
			Message: "there is nothing to apply",
			Hint:    "name files, or write manifests",
		})
		return
	}
	manifests, problems := s.read()
	for _, pr := range problems {
		p.AddProblem(pr)
	}
	if s.CreateNamespace && s.Namespace == "" {
		p.Add("createNamespace", "there is no namespace to create: give namespace too")
	}
	if len(problems) > 0 {
		return // their names are not known
	}
	checkTypes(manifests, p.AddProblem)
	for i, c := range s.Wait.Conditions {
		if c.Kind == "" || c.Name == "" || c.APIVersion != "" {
			continue
		}
		switch n := len(c.among(manifests)); {
		case n == 0:
			p.AddProblem(engine.Problem{
				Field:   fmt.Sprintf("wait.conditions[%d].name", i),
				Message: fmt.Sprintf("this step has no %s with the name %s", c.Kind, c.Name),
				Hint:    "write the name as in the manifest, or give apiVersion for an object of another step",
			})
		case n > 1:
			p.AddProblem(engine.Problem{
				Field:   fmt.Sprintf("wait.conditions[%d].name", i),
				Message: fmt.Sprintf("this step has %d objects of kind %s with the name %s", n, c.Kind, c.Name),
				Hint:    "give namespace, or apiVersion",
			})
		}
	}
}

// among returns the manifests that the condition may be about.
func (c Condition) among(manifests []manifest) []manifest {
	var found []manifest
	for _, m := range manifests {
		o := m.obj
		if o.GetKind() == c.Kind && o.GetName() == c.Name &&
			(c.APIVersion == "" || o.GetAPIVersion() == c.APIVersion) &&
			(c.Namespace == "" || o.GetNamespace() == "" || o.GetNamespace() == c.Namespace) {
			found = append(found, m)
		}
	}
	return found
}
