package k8sauth

import (
	"fmt"

	"github.com/ztplan/ztplan/engine"
)

// Claims implements engine.Claimer. A ServiceAccount that several steps make is
// the same for all of them.
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
		claims = append(claims, engine.Claim{Path: a.bindingPath(), Want: s.TokenRequest.GrantTo, Field: "tokenRequest"})
	}
	return claims
}
