package release

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Claims returns the claims of a release: the fields of its objects and the marks of
// their owner, so that no object is in two releases. Hooks and the objects of the
// chart's crds folder are not claimed: Helm only makes missing ones.
func Claims(name, namespace string, refs []kubekit.Ref, objects []*unstructured.Unstructured, random map[manifest.Key]map[string]bool) []engine.Claim {
	var out []engine.Claim
	for i, o := range objects {
		target := o.DeepCopy()
		Own(target, name, namespace)
		top := kubekit.ClaimPath(refs[i]) + "/"
		anew := random[manifest.KeyOf(o)]
		for _, c := range kubekit.Claims(refs[i], target.Object, "chart") {
			if anew[c.Path[len(top):]] {
				c.Want = Random
			}
			if !manifest.IsEmpty(c.Want) {
				out = append(out, c)
			}
		}
	}
	return out
}

// Claims returns the claims of the release as it is deployed.
func (s *State) Claims() []engine.Claim {
	refs := make([]kubekit.Ref, len(s.have))
	for i, st := range s.have {
		refs[i] = st.Ref
	}
	return Claims(s.release.Name, s.release.Namespace, refs, s.objects, nil)
}
