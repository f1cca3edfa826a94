package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"

	"github.com/ztplan/ztplan/steps/k8sauth"
)

// unboundedDate: Vault up to 1.19.18, 1.20.12, 1.21.7 and 2.0.2 does not hold a
// certificate's not_after against max_ttl, so that only a policy can. A policy
// that may write the role as well is left alone: it allows to set max_ttl.
func unboundedDate(f *facts) []Finding {
	c, ok := f.release("vault")
	if !ok || boundsDates(c) {
		return nil
	}
	var out []Finding
	for _, i := range f.inter {
		for _, r := range i.spec.Roles {
			for _, a := range f.auths {
				for _, p := range a.spec.Policies {
					rules := pathRules(p)
					if may(rules, i.spec.Mount+"/roles/"+r.Name, "update") {
						continue
					}
					for _, verb := range []string{"sign", "issue"} {
						path := i.spec.Mount + "/" + verb + "/" + r.Name
						if !may(rules, path, "update") || denies(rules, path, "not_after") {
							continue
						}
						out = append(out, at(a.step, "policies", Warning, "unbounded-date",
							`deny the parameter in the policy: denied_parameters = { "not_after" = [] }; or use Vault 1.19.19, 1.20.13, 1.21.8, 2.0.3 or newer`,
							"this Vault does not compare not_after with max_ttl (hashicorp/vault#29928)",
							"policy %s lets its holder have certificates of any lifetime from %s, whatever maxTTL the role has", p.Name, path))
					}
				}
			}
		}
	}
	return out
}

// policiesMade: a token with a policy that does not exist may do nothing of it,
// and Vault does not warn when the role is written.
func policiesMade(f *facts) []Finding {
	made := []string{"default"} // Vault's own
	for _, a := range f.auths {
		for _, p := range a.spec.Policies {
			made = append(made, p.Name)
		}
	}
	var out []Finding
	for _, a := range f.auths {
		for i, r := range a.spec.Roles {
			for j, p := range r.Policies {
				// Vault keeps the names of policies in lower case.
				if p != "" && !slices.Contains(made, strings.ToLower(p)) {
					out = append(out, at(a.step, fmt.Sprintf("roles[%d].policies[%d]", i, j), Warning, "policy-missing",
						"add it to policies of a k8sAuth step, which make "+strings.Join(made, ", ")+"; leave it if it is made elsewhere",
						"Vault takes names of policies that do not exist, and the token may then do nothing",
						"role %s gives policy %s, which no step makes", r.Name, p))
				}
			}
		}
	}
	return out
}

// boundsDates reports whether a release brings a Vault with the fix: by its
// image's tag, or by the chart (0.34.0 is the first one with it, Vault 2.0.3). A
// tag that is no version is not judged.
func boundsDates(c chart) bool {
	tag, _ := dig(c.values, "server", "image", "tag").(string)
	if tag == "" {
		return !before(c.version, "v0.34.0")
	}
	m := imageVersion.FindString(strings.TrimPrefix(tag, "v"))
	if m == "" {
		return true
	}
	v := "v" + m
	for _, fixed := range []struct{ from, to string }{{"v1.20.0", "v1.19.19"}, {"v1.21.0", "v1.20.13"}, {"v2.0.0", "v1.21.8"}} {
		if before(v, fixed.from) {
			return !before(v, fixed.to)
		}
	}
	return !before(v, "v2.0.3")
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
