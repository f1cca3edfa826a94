package lint

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/issuer"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/versions"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hosting"
)

// knownBadCertManager: versions whose behaviour the rest of the plan cannot
// make up for.
func knownBadCertManager(f *facts) []Finding {
	c, ok := f.release("cert-manager")
	if !ok || !versions.LoginFails.Has(c.version) {
		return nil
	}
	return []Finding{at(c.step, "version", "cert-manager-old", "", "cert-manager %s takes a short failure of Vault for a final one", c.spec.Version)}
}

// tokenPermission: the chart let cert-manager request tokens of its own ServiceAccount
// from v1.16 to v1.20; for another one, or with another version, the plan has to.
func tokenPermission(f *facts) []Finding {
	var accounts []string
	for _, o := range f.objects {
		if account := o.text("spec", "vault", "auth", "kubernetes", "serviceAccountRef", "name"); o.isIssuer() && account != "" {
			accounts = append(accounts, account)
		}
	}
	c, ok := f.release("cert-manager")
	if len(accounts) == 0 || !ok || f.grantsTokens() {
		return nil
	}
	own := cmp.Or(c.spec.Release, "cert-manager")
	if !strings.Contains(own, "cert-manager") {
		own += "-cert-manager"
	}
	own = cmp.Or(c.text("serviceAccount.name"), own)
	foreign := slices.ContainsFunc(accounts, func(a string) bool { return a != own })
	if versions.GrantsTokens.Has(c.version) && !foreign {
		return []Finding{at(c.step, "version", "token-permission-upgrade", "",
			"only the chart of cert-manager %s lets it request tokens of ServiceAccount %s; that of v1.21 does not", c.spec.Version, own)}
	}
	return []Finding{at(c.step, "version", "token-permission", "", "nothing in the plan lets cert-manager request tokens (serviceaccounts/token)")}
}

// grantsTokens reports whether something in the plan allows to request tokens.
func (f *facts) grantsTokens() bool {
	for _, a := range f.auths {
		if a.spec.TokenRequest != nil {
			return true
		}
	}
	for _, o := range f.objects {
		if o.kind != "Role" && o.kind != "ClusterRole" {
			continue
		}
		rules, _ := o.fields["rules"].([]any)
		for _, r := range rules {
			m, _ := r.(map[string]any)
			resources, _ := m["resources"].([]any)
			if slices.Contains(resources, any("serviceaccounts/token")) || slices.Contains(resources, any("*")) {
				return true
			}
		}
	}
	return false
}

// tokenLifetime: cert-manager takes a token for each signing and leaves it behind.
func tokenLifetime(f *facts) []Finding {
	var out []Finding
	f.issuerRoles(func(issuer object, a authRole) {
		if a.role.TokenTTL.Std() > time.Hour && a.role.TokenType != "batch" {
			out = append(out, at(a.step, a.field+".tokenTTL", "token-lifetime", "",
				"role %s gives %s %s a token of %s for every signing", a.role.Name, issuer.kind, issuer.name, engine.Duration(a.role.TokenTTL)))
		}
	})
	return out
}

// issuers: the role, the login and the authority that an issuer names, and those of the plan.
func issuers(f *facts) []Finding {
	var p issuer.Plan
	for _, i := range f.inter {
		p.Signers = append(p.Signers, issuer.Signer{Spec: i.spec, Step: i.step.ID, Placed: isKnown(i.step, "vault.namespace")})
	}
	for _, a := range f.auths {
		if isKnown(a.step, "vault.address") {
			p.Logins = append(p.Logins, a.spec)
		}
	}
	var out []Finding
	for _, o := range f.objects {
		if !o.isIssuer() {
			continue
		}
		for _, fault := range p.Faults(o.hosting(), o.knows) {
			out = append(out, o.finding(fault.Field, fault.Rule, fault.Hint, "%s %s %s", o.kind, o.name, fault.Message).as(fault.Severity))
		}
	}
	return out
}

// audience: the token that cert-manager gets is made for vault://NAME.
func audience(f *facts) []Finding {
	var out []Finding
	f.issuerRoles(func(o object, a authRole) {
		want, r := "vault://"+o.name, a.role
		if o.kind == "Issuer" {
			want = "vault://" + o.id()
		}
		more, _ := hosting.Dig(o.fields, "spec", "vault", "auth", "kubernetes", "serviceAccountRef", "audiences").([]any)
		switch {
		case !isKnown(a.step, a.field+".audience"):
		case r.Audience == "":
			out = append(out, at(a.step, a.field, "audience", "set audience: "+want,
				"role %s admits tokens that were made for others than Vault: it has no audience", r.Name))
		case r.Audience != want && r.Audience != o.text("spec", "vault", "server") && !slices.Contains(more, any(r.Audience)):
			out = append(out, at(a.step, a.field, "audience", "set audience: "+want,
				"role %s wants audience %s, and %s %s logs in with %s", r.Name, r.Audience, o.kind, o.name, want))
		}
		account := o.text("spec", "vault", "auth", "kubernetes", "serviceAccountRef", "name")
		if names, spaces := a.accounts(); account != "" && len(names) > 0 && (!admits(names, account) || o.kind == "Issuer" && len(spaces) > 0 && !admits(spaces, o.space)) {
			out = append(out, at(a.step, a.field, "service-account", "",
				"role %s does not admit ServiceAccount %s of %s %s", r.Name, account, o.kind, o.name))
		}
	})
	return out
}
