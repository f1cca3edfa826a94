package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"

	"github.com/ztplan/ztplan/steps/k8sauth"
)

// unboundedDate: where Vault does not hold a certificate's not_after against max_ttl,
// only a policy can. A policy that may write the role as well is left alone: it allows
// to set max_ttl.
func unboundedDate(f *facts) []Finding {
	c, ok := f.release("vault")
	if !ok || !anyOf(unboundedDates, vaultVersion(c)) {
		return nil
	}
	var out []Finding
	f.policies(func(a of[*k8sauth.Spec], field string, p k8sauth.Policy) {
		rules := pathRules(p)
		for _, i := range f.inter {
			for _, r := range i.spec.Roles {
				if may(rules, i.spec.Mount+"/roles/"+r.Name, "update") {
					continue
				}
				for _, verb := range []string{"sign", "issue"} {
					path := i.spec.Mount + "/" + verb + "/" + r.Name
					if may(rules, path, "update") && !denies(rules, path, "not_after") {
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
		if version != "" && !refusesDuplicates.has(version) {
			found = found.as(Warning)
		}
		out = append(out, found)
	})
	return out
}

// policyPaths: paths that open more than one role, or what others choose.
func policyPaths(f *facts) []Finding {
	var out []Finding
	f.policies(func(a of[*k8sauth.Spec], field string, p k8sauth.Policy) {
		rules := pathRules(p)
		for _, r := range rules {
			if chosenByOthers(r.Path) {
				out = append(out, at(a.step, field, "template-wildcard", "", "policy %s has the path %s", p.Name, r.Path))
			}
		}
		for _, i := range f.inter {
			const other = "a-role-that-is-made-later"
			if !may(rules, i.spec.Mount+"/roles/"+other, "update") && may(rules, i.spec.Mount+"/sign/"+other, "update") {
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

var template = regexp.MustCompile(`\{\{(.*?)\}\}(.?)`)

// chosenByOthers reports whether a path has a template whose value Vault does not choose
// itself, or one that is followed by * or + within its segment.
func chosenByOthers(path string) bool {
	for _, m := range template.FindAllStringSubmatch(path, -1) {
		value := strings.TrimSpace(m[1])
		if !strings.HasSuffix(value, ".id") && !strings.HasSuffix(value, "_uid") || m[2] != "" && m[2] != "/" {
			return true
		}
	}
	return false
}

// vaultVersion returns the version of the Vault in a release: by its image's tag, or by
// the chart. It is "" for a tag that is no version.
func vaultVersion(c chart) string {
	if tag := c.text("server.image.tag"); tag != "" {
		return versionOf(tag)
	}
	return programOf("vault", c.version)
}

// A pathRule is a block of a Vault policy.
type pathRule struct {
	Path         string         `hcl:",key"`
	Capabilities []string       `hcl:"capabilities"`
	Denied       map[string]any `hcl:"denied_parameters"`
	Allowed      map[string]any `hcl:"allowed_parameters"`
}

// pathRules returns the blocks of a policy; none if it is not understood, which
// Vault warns when it is written.
func pathRules(p k8sauth.Policy) []pathRule {
	var out []pathRule
	for path, capabilities := range p.Paths {
		out = append(out, pathRule{Path: path, Capabilities: capabilities})
	}
	var text struct {
		Paths []pathRule `hcl:"path"`
	}
	if p.Rules != "" && hcl.Decode(&text, p.Rules) == nil {
		out = append(out, text.Paths...)
	}
	return out
}

// ruleFor returns the block that Vault applies to a path: the exact one, or else
// the longest that covers it.
func ruleFor(rules []pathRule, path string) *pathRule {
	var best *pathRule
	for i := range rules {
		r := &rules[i]
		if r.Path == path {
			return r
		}
		if covers(r.Path, path) && (best == nil || len(r.Path) > len(best.Path)) {
			best = r
		}
	}
	return best
}

// covers reports whether a pattern of a policy covers a path: + stands for one
// segment and * at the end for anything.
func covers(pattern, path string) bool {
	pattern, open := strings.CutSuffix(pattern, "*")
	text := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\+`, `[^/]+`)
	if !open {
		text += "$"
	}
	ok, err := regexp.MatchString("^"+text, path)
	return err == nil && ok
}

func may(rules []pathRule, path, capability string) bool {
	r := ruleFor(rules, path)
	return r != nil && slices.Contains(r.Capabilities, capability) && !slices.Contains(r.Capabilities, "deny")
}

// denies reports whether a request with the parameter is refused.
func denies(rules []pathRule, path, parameter string) bool {
	r := ruleFor(rules, path)
	_, denied := r.Denied[parameter]
	_, all := r.Denied["*"]
	_, allowed := r.Allowed[parameter]
	_, any := r.Allowed["*"]
	return denied || all || len(r.Allowed) > 0 && !allowed && !any
}
