package helmkit

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// claims returns what a release claims of the cluster: the fields of its objects
// and the marks that say whose they are, so that no object is in two releases.
// Hooks are not claimed, and what comes from the chart's crds folder is not: Helm
// only makes what is missing of it.
func claims(release, namespace string, refs []kubekit.Ref, objects []*unstructured.Unstructured, random map[objectKey]map[string]bool) []engine.Claim {
	var out []engine.Claim
	for i, o := range objects {
		target := o.DeepCopy()
		own(target, release, namespace)
		top := kubekit.ClaimPath(refs[i]) + "/"
		anew := random[keyOf(o)]
		for _, c := range kubekit.Claims(refs[i], target.Object, "chart") {
			if anew[c.Path[len(top):]] {
				c.Want = Random
			}
			if !isEmpty(c.Want) {
				out = append(out, c)
			}
		}
	}
	return out
}

// Claims returns what the release claims of the cluster as it is deployed.
func (s *State) Claims() []engine.Claim {
	refs := make([]kubekit.Ref, len(s.have))
	for i, st := range s.have {
		refs[i] = st.Ref
	}
	return claims(s.release.Name, s.release.Namespace, refs, s.objects, nil)
}
