package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"

	"github.com/ztplan/ztplan/cmd/ztplan/lint/policy"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/versions"
	"github.com/ztplan/ztplan/steps/k8sauth"
)

// unboundedDate: where Vault does not hold a certificate's not_after against max_ttl,
// only a policy can. A policy that may write the role as well is left alone: it allows
// to set max_ttl.
func unboundedDate(f *facts) []Finding {
	c, ok := f.release("vault")
	if !ok || !versions.AnyOf(versions.UnboundedDates, vaultVersion(c)) {
		return nil
	}
	var out []Finding
	f.policies(func(a of[*k8sauth.Spec], field string, p k8sauth.Policy) {
		rules := policy.Read(p)
		for _, i := range f.inter {
			for _, r := range i.spec.Roles {
				if rules.May(i.spec.Mount+"/roles/"+r.Name, "update") {
					continue
				}
				for _, verb := range []string{"sign", "issue"} {
					path := i.spec.Mount + "/" + verb + "/" + r.Name
					if rules.May(path, "update") && !rules.Denies(path, "not_after") {
						out = append(out, at(a.step, field, "unbounded-date", "",
							"policy %s lets its holder have certificates of any lifetime from %s, whatever maxTTL the role has", p.Name, path))
					}
				}
			}
		}
	})
	return out
}

// policies visits the policies of the plan, each with the input that holds it.
func (f *facts) policies(visit func(a of[*k8sauth.Spec], field string, p k8sauth.Policy)) {
	for _, a := range f.auths {
		for i, p := range a.spec.Policies {
			visit(a, fmt.Sprintf("policies[%d]", i), p)
		}
	}
}

// policiesMade: a token with a policy that does not exist may do nothing of it,
// and Vault does not warn when the role is written.
func policiesMade(f *facts) []Finding {
	made := []string{"default"} // Vault's own
	f.policies(func(_ of[*k8sauth.Spec], _ string, p k8sauth.Policy) { made = append(made, p.Name) })
	var out []Finding
	for _, a := range f.authRoles() {
		for j, p := range a.role.Policies {
			// Vault keeps the names of policies in lower case.
			if p != "" && !slices.Contains(made, strings.ToLower(p)) {
				out = append(out, at(a.step, fmt.Sprintf("%s.policies[%d]", a.field, j), "policy-missing",
					"add it to policies of a k8sAuth step, which make "+strings.Join(made, ", ")+"; leave it if it is made elsewhere",
					"role %s gives policy %s, which no step makes", a.role.Name, p))
			}
		}
	}
	return out
}

// policyTexts: attributes that are there twice.
func policyTexts(f *facts) []Finding {
	version := ""
	if c, ok := f.release("vault"); ok {
		version = vaultVersion(c)
	}
	var out []Finding
	f.policies(func(a of[*k8sauth.Spec], field string, p k8sauth.Policy) {
		if _, err := hcl.Parse(p.Rules); err == nil || !strings.Contains(err.Error(), "can only be defined once") {
			return
		}
		found := at(a.step, field+".rules", "policy-duplicate", "", "policy %s has an attribute twice in one block", p.Name)
		if version != "" && !versions.RefusesDuplicates.Has(version) {
			found = found.as(Warning)
		}
		out = append(out, found)
	})
	return out
}

// policyPaths: policies that open more than one role, and paths and domains that others
// choose.
func policyPaths(f *facts) []Finding {
	var out []Finding
	f.policies(func(a of[*k8sauth.Spec], field string, p k8sauth.Policy) {
		rules := policy.Read(p)
		for _, r := range rules {
			if r.ChosenByOthers() {
				out = append(out, at(a.step, field, "template-wildcard", "", "policy %s has the path %s", p.Name, r.Path))
			}
		}
		for _, i := range f.inter {
			const other = "a-role-that-is-made-later"
			if !rules.May(i.spec.Mount+"/roles/"+other, "update") && rules.May(i.spec.Mount+"/sign/"+other, "update") {
				out = append(out, at(a.step, field, "policy-wildcard", "", "policy %s lets its holder sign with every role of %s", p.Name, i.spec.Mount))
			}
		}
	})
	for _, r := range f.signers() {
		globs := r.AllowGlobDomains || r.Extra["allow_glob_domains"] == true
		if globs && r.Extra["allowed_domains_template"] == true {
			out = append(out, at(r.step, r.field, "template-wildcard", "set allowGlobDomains: false",
				"%s takes patterns with * from the identity that asks", r.path))
		}
	}
	return out
}

// vaultVersion returns the version of the Vault in a release: by its image's tag, or by
// the chart. It is "" for a tag that is no version.
func vaultVersion(c chart) string {
	if tag := c.text("server.image.tag"); tag != "" {
		return versionOf(tag)
	}
	return versions.ProgramOf("vault", c.version)
}
