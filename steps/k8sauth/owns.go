package k8sauth

import (
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// Owns implements engine.Owner. A name that is not known yet stands for any.
func (s *Spec) Owns(unknown []string) func(path string) bool {
	for _, list := range []string{"policies", "roles", "serviceAccount", "tokenRequest"} {
		if slices.Contains(unknown, list) {
			return nil
		}
	}
	return func(path string) bool {
		if name, is := strings.CutPrefix(path, policyPath); is {
			return slices.ContainsFunc(s.Policies, func(p Policy) bool { return p.Name == name || p.Name == "" })
		}
		if strings.HasPrefix(path, "sys/") || strings.HasPrefix(path, "auth/") {
			return s.ownsInMount(path)
		}
		return s.ownsInCluster(path)
	}
}

func (s *Spec) ownsInMount(path string) bool {
	if s.Mount != "" && !vaultkit.Auth.Holds(s.Mount, path) {
		return false
	}
	_, rest, is := strings.Cut(path, "/role/")
	if !is {
		return true
	}
	name, _, _ := strings.Cut(rest, "/")
	return slices.ContainsFunc(s.Roles, func(r Role) bool { return r.Name == name || r.Name == "" })
}

func (s *Spec) ownsInCluster(path string) bool {
	a := s.ServiceAccount
	switch {
	case a == nil:
		return false
	case a.Namespace == "" || a.Name == "" || engine.Below(path, a.path()):
		return true
	}
	return s.TokenRequest != nil && (engine.Below(path, a.rolePath()) || engine.Below(path, a.bindingPath()))
}

// ServerInTarget implements engine.ServerUser.
func (s *Spec) ServerInTarget() string { return s.Vault.InCluster() }

// VaultServer implements vaultkit.User.
func (s *Spec) VaultServer() vaultkit.Server { return s.Vault.Server }

// ServerID implements engine.ServerUser.
func (s *Spec) ServerID() string { return s.Vault.ID() }

// WritesToTarget implements engine.TargetWriter.
func (s *Spec) WritesToTarget(unknown []string) bool {
	return s.Vault.ThroughCluster("vault", unknown) ||
		s.ServiceAccount != nil || !engine.Known("serviceAccount", unknown)
}
