package lint

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/issuer"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/steps/k8sauth"
)

// rootToken: root is for the first minutes.
func rootToken(f *facts) []Finding {
	var out []Finding
	for _, init := range f.inits {
		var users []string
		for _, s := range f.plan.Steps {
			spec, _ := s.Draft()
			_, login := wayInOf(spec)
			if login == nil && slices.ContainsFunc(s.Refs, func(r plan.Ref) bool { return r.Step == init.step.ID && r.Output == "rootToken" }) {
				users = append(users, s.ID)
			}
		}
		if len(users) > 0 {
			out = append(out, at(init.step, "", "root-token", "",
				"the root token lets in %s, in every run", strings.Join(users, ", ")))
		}
		if init.spec.RootToken == "keep" {
			out = append(out, at(init.step, "rootToken", "root-token-kept", "", "the root token is never revoked"))
		}
	}
	return out
}

// logins: the login of the plan must be one that the plan's role admits.
func logins(f *facts) []Finding {
	var out []Finding
	var seen []login
	for _, s := range f.plan.Steps {
		spec, _ := s.Draft()
		_, l := wayInOf(spec)
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
	for _, a := range f.authRoles() {
		r := a.role
		if a.spec.Mount != l.mount || r.Name != l.role {
			continue
		}
		made = true
		names, spaces := a.accounts()
		if l.account != "" && r.Audience != "" && r.Audience != l.audience {
			out = append(out, at(a.step, "roles", "login-audience", "set audience: "+l.audience,
				"role %s wants audience %s, and the login of the plan brings %s", r.Name, r.Audience, l.audience))
		}
		if l.account != "" && (!admits(names, l.account) || !admits(spaces, l.namespace)) {
			out = append(out, at(a.step, "roles", "login-service-account", "",
				"role %s does not admit ServiceAccount %s/%s of the login of the plan", r.Name, l.namespace, l.account))
		}
		if r.TokenType != "batch" {
			out = append(out, at(a.step, "roles", "login-leases", "", "role %s gives tokens that Vault stores to the login of the plan", r.Name))
		}
	}
	if !made && len(f.auths) > 0 {
		out = append(out, at(s, "vault.login", "login-role", "", "no step makes role %s of auth/%s, which the plan logs in to", l.role, l.mount))
	}
	return out
}

// An authRole is a role of the plan's Kubernetes logins.
type authRole struct {
	of[*k8sauth.Spec]
	role  k8sauth.Role
	field string // of the step, "roles[0]"
}

// authRoles returns the roles of all k8sAuth steps.
func (f *facts) authRoles() []authRole {
	var out []authRole
	for _, a := range f.auths {
		for i, r := range a.spec.Roles {
			out = append(out, authRole{a, r, fmt.Sprintf("roles[%d]", i)})
		}
	}
	return out
}

// issuerRoles visits the roles that issuers of the plan log in to.
func (f *facts) issuerRoles(visit func(issuer object, a authRole)) {
	for _, o := range f.objects {
		name := o.text("spec", "vault", "auth", "kubernetes", "role")
		if !o.isIssuer() || name == "" {
			continue
		}
		mount, _ := issuer.Mount(o.hosting())
		for _, a := range f.authRoles() {
			if a.role.Name == name && (a.spec.Mount == mount || !o.knows("spec.vault.auth.kubernetes.mountPath") || !isKnown(a.step, "mount")) {
				visit(o, a)
			}
		}
	}
}

// accounts returns the ServiceAccounts that the role admits, and their namespaces.
func (a authRole) accounts() (names, namespaces []string) {
	names, namespaces = a.role.ServiceAccounts, a.role.Namespaces
	if own := a.spec.ServiceAccount; own != nil {
		if len(names) == 0 {
			names = []string{own.Name}
		}
		if len(namespaces) == 0 {
			namespaces = []string{own.Namespace}
		}
	}
	return names, namespaces
}

// anyAccount: a login for all ServiceAccounts, or for all namespaces.
func anyAccount(f *facts) []Finding {
	var out []Finding
	for _, a := range f.authRoles() {
		names, namespaces := a.accounts()
		switch {
		case slices.Contains(names, "*"):
			out = append(out, at(a.step, a.field+".serviceAccounts", "any-account", "", "role %s admits every ServiceAccount of %s", a.role.Name, strings.Join(namespaces, ", ")))
		case slices.Contains(namespaces, "*"):
			out = append(out, at(a.step, a.field+".namespaces", "any-account", "", "role %s admits ServiceAccount %s of every namespace", a.role.Name, strings.Join(names, ", ")))
		}
	}
	return out
}

// apiServerName: a Vault outside of the cluster that asks the API server by a name of the
// cluster.
func apiServerName(f *facts) []Finding {
	if _, inside := f.release("vault"); inside {
		return nil
	}
	var out []Finding
	for _, a := range f.auths {
		u, err := url.Parse(a.spec.Config.KubernetesHost)
		if err != nil || a.spec.Vault.Address == "" || !isKnown(a.step, "config.kubernetesHost") {
			continue
		}
		if host := u.Hostname(); strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".svc.cluster.local") {
			out = append(out, at(a.step, "config.kubernetesHost", "api-server-name", "", "Vault at %s asks %s about each login", a.spec.Vault.Address, host))
		}
	}
	return out
}

// reviewerToken: the token and the authority of a pod, written into the configuration of
// the login. The kind has no input for the token, so it is found as it is written.
func reviewerToken(f *facts) []Finding {
	var out []Finding
	for _, a := range f.auths {
		_, with := source.Lookup(a.step.Node, "with")
		_, config := source.Lookup(with, "config")
		if config == nil {
			continue
		}
		for key, value := range source.Pairs(config) {
			switch name := strings.ToLower(strings.ReplaceAll(key.Value, "_", "")); {
			case rule.ReviewerToken(key.Value):
				out = append(out, Finding{Rule: "reviewer-token", Step: a.step.ID, Place: a.step.Place(key),
					Message: "the configuration of auth/" + a.spec.Mount + " has a reviewer token"})
			case name == "kubernetescacert" && strings.HasPrefix(value.Value, "@"):
				out = append(out, Finding{Rule: "reviewer-token", Step: a.step.ID, Place: a.step.Place(key),
					Message: "the configuration of auth/" + a.spec.Mount + " has the authority of a pod, by a path of Vault's command line"})
			}
		}
	}
	return out
}

func admits(list []string, name string) bool {
	return slices.Contains(list, name) || slices.Contains(list, "*")
}
