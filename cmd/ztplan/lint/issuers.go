package lint

import (
	"slices"
	"strings"
)

// issuerMatches: the mount and role that an issuer's manifest names must be made by the plan.
func issuerMatches(f *facts) []Finding {
	var out []Finding
	if len(f.inter) == 0 {
		return nil
	}
	var paths []string
	for _, i := range f.inter {
		for _, r := range i.spec.Roles {
			paths = append(paths, i.spec.Mount+"/sign/"+r.Name)
		}
	}
	for _, o := range f.objects {
		path := o.text("spec", "vault", "path")
		if o.kind != "ClusterIssuer" && o.kind != "Issuer" || path == "" || len(paths) == 0 || slices.Contains(paths, path) {
			continue
		}
		out = append(out, at(o.step, "", Error, "issuer-path", "the plan makes "+strings.Join(paths, ", "),
			"every signing would be refused", "%s %s signs at %s, which no step makes", o.kind, o.name, path))
	}
	return out
}

// audience: the token that cert-manager gets is made for vault://NAME.
func audience(f *facts) []Finding {
	var out []Finding
	for _, o := range f.objects {
		role := o.text("spec", "vault", "auth", "kubernetes", "role")
		if o.kind != "ClusterIssuer" && o.kind != "Issuer" || role == "" {
			continue
		}
		want := "vault://" + o.name
		if o.kind == "Issuer" {
			want = "vault://" + o.space + "/" + o.name
		}
		account := o.text("spec", "vault", "auth", "kubernetes", "serviceAccountRef", "name")
		for _, a := range f.auths {
			for _, r := range a.spec.Roles {
				if r.Name != role {
					continue
				}
				if r.Audience != "" && r.Audience != want && r.Audience != o.text("spec", "vault", "server") {
					out = append(out, at(a.step, "roles", Error, "audience", "set audience: "+want,
						"cert-manager's token is made for that audience; Vault answers 403, invalid audience (cert-manager/cert-manager#6150)",
						"role %s wants audience %s, and %s %s logs in with %s", role, r.Audience, o.kind, o.name, want))
				}
				if account != "" && len(r.ServiceAccounts) > 0 && !slices.Contains(r.ServiceAccounts, account) && !slices.Contains(r.ServiceAccounts, "*") {
					out = append(out, at(a.step, "roles", Error, "service-account", "add it to serviceAccounts",
						"Vault answers 403, service account name not authorized", "role %s does not admit ServiceAccount %s of %s %s", role, account, o.kind, o.name))
				}
			}
		}
	}
	return out
}

// plainKeys: unseal keys in the clear are for labs.
func plainKeys(f *facts) []Finding {
	var out []Finding
	for _, init := range f.inits {
		keys := init.spec.Keys
		if len(keys.Custodians) > 0 || keys.File.IsZero() && keys.Secret == nil {
			continue
		}
		what := "the unseal keys and the root token are kept together"
		if init.spec.RootToken == "revoke" {
			what = "the unseal keys are kept together"
		}
		out = append(out, at(init.step, "keys", Warning, "plain-keys", "name keys.custodians, who get one encrypted share each, or use auto-unseal",
			"a reader of them owns the CA", "%s, in the clear, in %s", what, keys))
	}
	return out
}

// proofs: a plan that proves nothing only hopes.
func proofs(f *facts) []Finding {
	if f.proofs > 0 || len(f.plan.Steps) == 0 {
		return nil
	}
	return []Finding{at(f.plan.Steps[len(f.plan.Steps)-1], "", Warning, "no-proof", "add assertRotation and curlTLS steps",
		"Ready and Accepted conditions do not show what is on the wire", "the plan proves nothing")}
}
