package applymanifest

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// whole returns the manifests of which nothing is in unknown.
func (s *Spec) whole(unknown []string) []manifest {
	manifests, _ := s.read()
	return slices.DeleteFunc(manifests, func(m manifest) bool {
		return !engine.Known(m.source.field, unknown) || m.obj.GetNamespace() == "" && !engine.Known("namespace", unknown)
	})
}

// identified returns the manifests whose apiVersion, kind, namespace and name are known,
// and descriptions of unknown parts that decide about permissions.
func (s *Spec) identified(unknown []string) (known []manifest, notKnown []string) {
	manifests, _ := s.readWithout(unknown)
	byField := make(map[string]manifest)
	for _, m := range manifests {
		field := m.source.field
		if engine.Known(field+".metadata.namespace", unknown) && (m.obj.GetNamespace() != "" || engine.Known("namespace", unknown)) {
			known = append(known, m)
			byField[field] = m
		}
	}
	for _, field := range unknown {
		switch top, _, _ := strings.Cut(field, "["); top {
		case "namespace":
			notKnown = append(notKnown, "the objects that name no namespace: namespace is an output of another step; add a Role there with get, watch, patch and create on them")
			continue
		case "files":
			notKnown = append(notKnown, "the objects of "+field+": it is an output of another step; add rules with get, watch, patch and create on them")
			continue
		}
		if !strings.HasPrefix(field, "manifests") {
			continue
		}
		m, found := around(byField, field)
		switch {
		case !found:
			notKnown = append(notKnown, "an object: "+field+" has outputs of other steps in it; add a rule with get, watch, patch and create on it")
		case m.obj.GroupVersionKind().Group == rbacv1.GroupName:
			notKnown = append(notKnown, kubekit.RefOf(m.obj).String()+": "+field+" is an output of another step; add the permissions that it gives")
		}
	}
	return known, notKnown
}

// around returns the manifest that an input is in.
func around(byField map[string]manifest, input string) (manifest, bool) {
	for field, m := range byField {
		if rest, ok := strings.CutPrefix(input, field); ok && (rest != "" && strings.ContainsRune(".[", rune(rest[0]))) {
			return m, true
		}
	}
	return manifest{}, false
}
