package assertdenied

import (
	"context"
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubeaccess"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// Permissions implements engine.PermissionNeeder.
func (s *Spec) Permissions(context.Context, *engine.Env, []string) (needed []engine.Permission, notKnown []string) {
	if s.Dial != nil {
		needed = slices.Concat(s.Dial.Target.Permissions(), s.Dial.TrustInput.Permissions(), s.Dial.Client.Permissions(false))
		for _, a := range s.Forbidden() {
			if a.Dial != nil {
				needed = append(needed, a.Dial.Client.Permissions(false)...)
			}
		}
	}
	if s.Login == nil {
		return needed, nil
	}
	needed = append(needed, s.Vault.Permissions()...)
	needed = append(needed, kubeaccess.Token(s.Login.ServiceAccount.Namespace, s.Login.ServiceAccount.Name, "logs in as the legitimate ServiceAccount"))
	seen := map[login.Account]bool{s.Login.ServiceAccount: true}
	for _, a := range s.Forbidden() {
		if a.Login == nil {
			continue
		}
		who, _ := s.Login.As(*a.Login)
		if seen[who] {
			continue
		}
		seen[who] = true
		const reason = "makes a ServiceAccount for an attempt to log in"
		account := engine.Permission{Verbs: []string{"get", "delete"}, Resource: "serviceaccounts", Namespace: who.Namespace, Name: who.Name, Reason: reason}
		create := account
		create.Verbs, create.Name = []string{"create"}, ""
		needed = append(needed, account, create, kubeaccess.Token(who.Namespace, who.Name, reason))
	}
	return needed, nil
}
