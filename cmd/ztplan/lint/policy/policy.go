// Package policy reads policies of Vault: the block that counts for a path, and the rights
// that it gives.
package policy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl"

	"github.com/ztplan/ztplan/steps/k8sauth"
)

// A Rule is a block of a policy.
type Rule struct {
	Path         string         `hcl:",key"`
	Capabilities []string       `hcl:"capabilities"`
	Denied       map[string]any `hcl:"denied_parameters"`
	Allowed      map[string]any `hcl:"allowed_parameters"`
}

// Rules are the blocks of a policy.
type Rules []Rule

// Read returns the blocks of a policy; none if it is not understood, which
// Vault warns when it is written.
func Read(p k8sauth.Policy) Rules {
	var out Rules
	for path, capabilities := range p.Paths {
		out = append(out, Rule{Path: path, Capabilities: capabilities})
	}
	var text struct {
		Paths []Rule `hcl:"path"`
	}
	if p.Rules != "" && hcl.Decode(&text, p.Rules) == nil {
		out = append(out, text.Paths...)
	}
	return out
}

// of returns the block that Vault applies to a path: the exact one, or else
// the longest that covers it.
func (rs Rules) of(path string) *Rule {
	var best *Rule
	for i := range rs {
		r := &rs[i]
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

// May reports whether the policy gives a capability on a path.
func (rs Rules) May(path, capability string) bool {
	r := rs.of(path)
	return r != nil && slices.Contains(r.Capabilities, capability) && !slices.Contains(r.Capabilities, "deny")
}

// Denies reports whether a request to a path that has a block is refused with the parameter.
func (rs Rules) Denies(path, parameter string) bool {
	r := rs.of(path)
	_, denied := r.Denied[parameter]
	_, all := r.Denied["*"]
	_, allowed := r.Allowed[parameter]
	_, any := r.Allowed["*"]
	return denied || all || len(r.Allowed) > 0 && !allowed && !any
}

var template = regexp.MustCompile(`\{\{(.*?)\}\}(.?)`)

// ChosenByOthers reports whether the path has a template whose value Vault does not choose
// itself, or one that is followed by * or + within its segment.
func (r Rule) ChosenByOthers() bool {
	for _, m := range template.FindAllStringSubmatch(r.Path, -1) {
		value := strings.TrimSpace(m[1])
		if !strings.HasSuffix(value, ".id") && !strings.HasSuffix(value, "_uid") || m[2] != "" && m[2] != "/" {
			return true
		}
	}
	return false
}
