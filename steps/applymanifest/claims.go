package applymanifest

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Claims implements engine.Claimer. An object that is applied under a field manager
// replaces the one that was applied under it before, so two steps with the same
// fieldManager must have the same manifest of an object; two with different ones may
// share it, but no field (kubernetes.io/docs/reference/using-api/server-side-apply).
func (s *Spec) Claims(_ string, unknown []string) []engine.Claim {
	if !engine.Known("fieldManager", unknown) {
		return nil
	}
	var claims []engine.Claim
	for _, m := range s.whole(unknown) {
		ref := s.named(m)
		claims = append(claims, engine.Claim{Path: kubekit.ClaimPath(ref) + " (field manager " + s.FieldManager + ")", Want: m.obj.Object, Field: m.source.field})
		claims = append(claims, kubekit.Claims(ref, m.obj.Object, m.source.field)...)
	}
	return claims
}

// named returns the reference of the object of a manifest, as far as it is known
// without the cluster.
func (s *Spec) named(m manifest) kubekit.Ref {
	ref := kubekit.RefOf(m.obj)
	if ref.Namespace == "" && !kubekit.ClusterScoped(ref.Kind) {
		ref.Namespace = cmp.Or(s.Namespace, metav1.NamespaceDefault)
	}
	return ref
}

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

// Scope implements kubekit.Scoper.
func (s *Spec) Scope() kubekit.Scope {
	scope := kubekit.Scope{Namespaces: []string{s.Namespace}}
	manifests, _ := s.read()
	for _, m := range manifests {
		ref := s.named(m)
		scope.Objects = append(scope.Objects, ref)
		scope.Namespaces = append(scope.Namespaces, ref.Namespace)
	}
	return scope
}
