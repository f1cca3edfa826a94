package pkiintermediate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// Claims implements engine.Claimer.
func (s *Spec) Claims(plan string, unknown []string) []engine.Claim {
	name := s.issuerName(plan)
	var own []engine.Claim
	switch {
	case s.Parent.External != nil && engine.Known("parent", unknown):
		own = append(own, engine.Claim{Path: s.Mount + "/issuer/" + name + "/signed_by", Want: s.Parent.External.String(), Field: "parent"})
	case engine.Known("parent.mount", unknown) && engine.Known("parent.issuer", unknown):
		own = append(own, engine.Claim{Path: s.Mount + "/issuer/" + name + "/signed_by", Want: s.Parent.Mount + "/" + s.Parent.Issuer, Field: "parent"})
	}
	for i, r := range s.Roles {
		if fields, err := r.fields(nil); err == nil {
			own = append(own, engine.Claim{Path: s.Mount + "/roles/" + r.Name, Want: fields, Field: fmt.Sprintf("roles[%d]", i)})
		}
	}
	return slices.Concat(s.ClaimsOf(name, unknown, own...), s.fileClaims(name, unknown))
}

// fileClaims are the claims on the files of the signing: the request, and its answer.
func (s *Spec) fileClaims(name string, unknown []string) []engine.Claim {
	e := s.Parent.External
	if e == nil || !s.Vault.Identified("vault", unknown) || !engine.Known("mount", unknown) || !engine.Known("issuerName", unknown) {
		return nil
	}
	of := s.Vault.ID() + " " + s.Mount + "/" + name
	return slices.Concat(
		engine.FileClaim(e.CSRFile, "request of "+of, "parent.external.csrFile", unknown),
		engine.FileClaim(e.CertificateFile, "certificate of "+of, "parent.external.certificateFile", unknown))
}

// Owns implements engine.Owner: all that is in the mount, but of the roles only
// those of the plan. An issuer that lost its name to a newer one is part of it.
func (s *Spec) Owns(unknown []string) func(path string) bool {
	if s.Mount == "" || slices.Contains(unknown, "roles") {
		return nil
	}
	return func(path string) bool {
		if rest, is := strings.CutPrefix(path, s.Mount+"/roles/"); is {
			name, _, _ := strings.Cut(rest, "/")
			return slices.ContainsFunc(s.Roles, func(r Role) bool { return r.Name == name || r.Name == "" })
		}
		return vaultkit.Secrets.Holds(s.Mount, path)
	}
}
