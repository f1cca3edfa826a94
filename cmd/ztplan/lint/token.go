package lint

import (
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps/assertdenied"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/k8sauth"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
	"github.com/ztplan/ztplan/steps/pkiroot"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// rootToken: root is for the first minutes.
func rootToken(f *facts) []Finding {
	var out []Finding
	for _, init := range f.inits {
		var users []string
		for _, s := range f.plan.Steps {
			uses := slices.ContainsFunc(s.Refs, func(r plan.Ref) bool { return r.Step == init.step.ID && r.Output == "rootToken" })
			if uses && loginOf(s) == nil {
				users = append(users, s.ID)
			}
		}
		if len(users) > 0 {
			out = append(out, at(init.step, "", Warning, "root-token", "let a k8sAuth step make a role for the plan, and set connections.vault.login",
				"it may do everything and does not expire (developer.hashicorp.com/vault/docs/concepts/tokens)",
				"the root token lets in %s, in every run", strings.Join(users, ", ")))
		}
		if init.spec.RootToken == "keep" {
			out = append(out, at(init.step, "rootToken", Warning, "root-token-kept", "set rootToken: revoke, which needs connections.vault.login",
				"a reader of "+init.spec.Keys.String()+" owns Vault; holders of the shares can make another when one is needed",
				"the root token is never revoked"))
		}
	}
	return out
}

// loginOf returns the login of a step, nil for a token only.
func loginOf(s *plan.Step) *login {
	spec, _ := s.Draft()
	switch spec := spec.(type) {
	case *k8sauth.Spec:
		return toLogin(spec.Vault.Login)
	case *pkiroot.Spec:
		return toLogin(spec.Vault.Login)
	case *pkiintermediate.Spec:
		return toLogin(spec.Vault.Login)
	case *vaultinit.Spec:
		return toLogin(spec.Vault.Login)
	case *assertdenied.Spec:
		return toLogin(spec.Vault.Login)
	case *assertrotation.Spec:
		return toLogin(spec.Vault.Login)
	}
	return nil
}

// A login is the part of a Vault login that the rules read.
type login struct{ mount, role, audience, namespace, account string }

func toLogin[L interface {
	comparable
	At() string
	For() string
	Who() (role, namespace, account string)
}](l L) *login {
	var none L
	if l == none {
		return nil
	}
	out := &login{mount: l.At(), audience: l.For()}
	out.role, out.namespace, out.account = l.Who()
	return out
}

// logins: the login of the plan must be one that the plan's role admits.
func logins(f *facts) []Finding {
	var out []Finding
	var seen []login
	for _, s := range f.plan.Steps {
		l := loginOf(s)
		if l == nil || l.role == "" || slices.Contains(seen, *l) {
			continue
		}
		seen = append(seen, *l)
		out = append(out, f.login(s, *l)...)
	}
	return out
}

func (f *facts) login(s *plan.Step, l login) []Finding {
	made := false
	var out []Finding
	for _, a := range f.auths {
		for i := range a.spec.Roles {
			r := &a.spec.Roles[i]
			if a.spec.Mount != l.mount || r.Name != l.role {
				continue
			}
			made = true
			names, spaces := r.ServiceAccounts, r.Namespaces
			if own := a.spec.ServiceAccount; own != nil {
				if len(names) == 0 {
					names = []string{own.Name}
				}
				if len(spaces) == 0 {
					spaces = []string{own.Namespace}
				}
			}
			if r.Audience != "" && r.Audience != l.audience {
				out = append(out, at(a.step, "roles", Error, "login-audience", "set audience: "+l.audience,
					"Vault answers 403, invalid audience", "role %s wants audience %s, and the login of the plan brings %s", r.Name, r.Audience, l.audience))
			}
			if !admits(names, l.account) || !admits(spaces, l.namespace) {
				out = append(out, at(a.step, "roles", Error, "login-service-account", "add it to serviceAccounts and namespaces",
					"Vault answers 403, service account name not authorized", "role %s does not admit ServiceAccount %s/%s of the login of the plan", r.Name, l.namespace, l.account))
			}
			if r.TokenType != "batch" {
				out = append(out, at(a.step, "roles", Warning, "login-leases", "set tokenType: batch",
					"every look, a dry run too, would make a lease and revoke it", "role %s gives tokens that Vault stores to the login of the plan", r.Name))
			}
		}
	}
	if !made && len(f.auths) > 0 {
		out = append(out, at(s, "vault.login", Warning, "login-role", "add the role to a k8sAuth step, or make it elsewhere before the root token is revoked",
			"until it is made, everything is done with the token that bootstraps", "no step makes role %s of auth/%s, which the plan logs in to", l.role, l.mount))
	}
	return out
}

func admits(list []string, name string) bool {
	return slices.Contains(list, name) || slices.Contains(list, "*")
}
