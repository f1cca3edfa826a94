package pkiintermediate

import (
	"slices"
	"strings"

	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

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

// ServerInCluster implements engine.ServerUser.
func (s *Spec) ServerInCluster() string { return s.Vault.InCluster() }

// ServerID implements engine.ServerUser.
func (s *Spec) ServerID() string { return s.Vault.ID() }
