package applymanifest

import (
	"cmp"

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
