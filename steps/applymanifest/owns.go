package applymanifest

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Owns implements engine.Owner: the objects of the manifests. Whether a kind
// needs a namespace is known to the API server alone, so each counts with it and
// without.
func (s *Spec) Owns(unknown []string) func(path string) bool {
	if slices.Contains(unknown, "namespace") || slices.Contains(unknown, "manifests") {
		return nil
	}
	manifests, problems := s.read()
	if len(problems) > 0 {
		return nil // such as a name that is not known yet
	}
	owned := make(map[string]bool)
	if s.CreateNamespace {
		owned[kubekit.Ref{Kind: "Namespace", Name: s.Namespace}.String()] = true
	}
	for _, m := range manifests {
		gvk := m.obj.GroupVersionKind()
		for _, kind := range []string{gvk.Kind, gvk.GroupKind().String()} {
			for _, namespace := range []string{"", cmp.Or(m.obj.GetNamespace(), s.Namespace, metav1.NamespaceDefault)} {
				owned[kubekit.Ref{Kind: kind, Namespace: namespace, Name: m.obj.GetName()}.String()] = true
			}
		}
	}
	return func(path string) bool { return owned[strings.TrimSuffix(path, completionPath)] }
}
