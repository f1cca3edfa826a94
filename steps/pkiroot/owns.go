package pkiroot

import "github.com/ztplan/ztplan/steps/internal/vaultkit"

// Owns implements engine.Owner: all that is in the mount.
func (s *Spec) Owns([]string) func(path string) bool {
	if s.Mount == "" {
		return nil
	}
	return func(path string) bool { return vaultkit.Secrets.Holds(s.Mount, path) }
}

// ServerInCluster implements engine.ServerUser.
func (s *Spec) ServerInCluster() string { return s.Vault.InCluster() }

// ServerID implements engine.ServerUser.
func (s *Spec) ServerID() string { return s.Vault.ID() }
