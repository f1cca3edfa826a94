package k8sauth

import (
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Claims implements engine.Claimer. A ServiceAccount is made only if it is absent
// and then left alone, so that another step, or a chart, may make it as well.
func (s *Spec) Claims(_ string, unknown []string) []engine.Claim {
	var own []engine.Claim
	if engine.Known("mount", unknown) {
		own = append(s.mount().Claims(), engine.Claim{Path: "auth/" + s.Mount + "/config", Want: s.Config, Field: "config"})
		for i, r := range s.Roles {
			if engine.Known("serviceAccount", unknown) {
				own = append(own, engine.Claim{Path: "auth/" + s.Mount + "/role/" + r.Name, Want: s.roleFields(r, nil), Field: fmt.Sprintf("roles[%d]", i)})
			}
		}
	}
	for i, p := range s.Policies {
		own = append(own, engine.Claim{Path: policyPath + p.Name, Want: p.text(), Field: fmt.Sprintf("policies[%d]", i)})
	}
	claims := s.Vault.Claims("vault", unknown, own)
	if a := s.ServiceAccount; a != nil && s.TokenRequest != nil && engine.Known("serviceAccount", unknown) && engine.Known("tokenRequest", unknown) {
		claims = append(claims, s.grantClaims()...)
	}
	return claims
}

// grantClaims are the fields of the Role and of the RoleBinding that are kept.
func (s *Spec) grantClaims() []engine.Claim {
	a := *s.ServiceAccount
	ref := kubekit.Ref{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role", Namespace: a.Namespace, Name: a.grantName()}
	role := kubekit.Claims(ref, plain(&rbacv1.Role{Rules: s.rules()}), "tokenRequest")
	ref.Kind = "RoleBinding"
	binding := kubekit.Claims(ref, plain(&rbacv1.RoleBinding{RoleRef: a.roleRef(), Subjects: s.subjects()}), "tokenRequest")
	return slices.Concat(role, binding)
}

// plain is an object as a manifest writes it.
func plain(object any) map[string]any {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil // never: the types of the API can be written
	}
	return content
}
