package pkiintermediate

import (
	"fmt"
	"slices"

	"github.com/ztplan/ztplan/engine"
)

// Claims implements engine.Claimer. A mount has one default issuer, so two steps
// with intermediates of different names in one mount claim it differently.
func (s *Spec) Claims(plan string, unknown []string) []engine.Claim {
	name := s.issuerName(&engine.Env{Plan: plan})
	own := []engine.Claim{{Path: s.Mount + "/config/issuers/default", Want: name, Field: "issuerName"}}
	if engine.Known("subject", unknown) && engine.Known("ttl", unknown) {
		own = append(own, engine.Claim{Path: s.Mount + "/issuer/" + name, Want: s.authority(), Field: "commonName"})
	}
	if engine.Known("parent.mount", unknown) && engine.Known("parent.issuer", unknown) {
		own = append(own, engine.Claim{Path: s.Mount + "/issuer/" + name + "/signed_by", Want: s.Parent.Mount + "/" + s.Parent.Issuer, Field: "parent"})
	}
	for i, r := range s.Roles {
		if fields, err := r.fields(nil); err == nil {
			own = append(own, engine.Claim{Path: s.Mount + "/roles/" + r.Name, Want: fields, Field: fmt.Sprintf("roles[%d]", i)})
		}
	}
	return s.Vault.Claims("vault", unknown, slices.Concat(s.mount().Claims(), s.URLs.Claims(s.Mount), own))
}
