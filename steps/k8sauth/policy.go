package k8sauth

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// capabilities are those of a policy
// (developer.hashicorp.com/vault/docs/concepts/policies).
var capabilities = []string{"create", "read", "update", "patch", "delete", "list", "sudo", "deny", "subscribe", "recover"}

func (o Policy) validate(p *engine.Problems, field string) {
	vaultkit.ValidateName(p, field+".name", "a policy", o.Name)
	switch {
	case o.Name != strings.ToLower(o.Name):
		p.AddProblem(engine.Problem{Field: field + ".name", Message: fmt.Sprintf("%q is not in lower case", o.Name), Hint: "write " + strings.ToLower(o.Name) + ": Vault would"})
	case o.Name == "root" || o.Name == "default":
		p.Add(field+".name", "%q is Vault's own", o.Name)
	}
	switch {
	case o.Rules != "" && len(o.Paths) > 0:
		p.Add(field+".paths", "and rules are given: use one of them")
	case o.Rules == "" && len(o.Paths) == 0:
		p.AddProblem(engine.Problem{Field: field, Message: "allows nothing", Hint: "give paths, or rules in HCL"})
	}
	for _, path := range slices.Sorted(maps.Keys(o.Paths)) {
		at := field + ".paths." + path
		if strings.HasPrefix(path, "/") || strings.Contains(path, "//") {
			p.AddProblem(engine.Problem{Field: at, Message: "has a slash too many", Hint: "paths begin with the mount, without a slash: pki_int/sign/web"})
		}
		if len(o.Paths[path]) == 0 {
			p.Add(at, "allows nothing")
		}
		for _, c := range o.Paths[path] {
			if !slices.Contains(capabilities, c) {
				p.AddProblem(engine.Problem{Field: at, Message: fmt.Sprintf("%q is not a capability", c), Hint: "use " + strings.Join(capabilities, ", ")})
			}
		}
	}
}

// policyPath is the path of Vault's policies.
const policyPath = "sys/policies/acl/"

// text returns the policy in Vault's language, without space around it.
func (o Policy) text() string {
	if o.Rules != "" {
		return strings.TrimSpace(o.Rules)
	}
	var blocks []string
	for _, path := range slices.Sorted(maps.Keys(o.Paths)) {
		quoted := make([]string, len(o.Paths[path]))
		for i, c := range o.Paths[path] {
			quoted[i] = strconv.Quote(c)
		}
		blocks = append(blocks, fmt.Sprintf("path %q {\n  capabilities = [%s]\n}", path, strings.Join(quoted, ", ")))
	}
	return strings.Join(blocks, "\n\n")
}

func (s *Spec) inspectPolicies(ctx context.Context, c *vaultkit.Client) ([]engine.Edit, error) {
	var edits []engine.Edit
	for _, p := range s.Policies {
		path := policyPath + p.Name
		data, err := c.Read(ctx, path)
		if err != nil {
			return nil, err
		}
		want := p.text()
		var have any
		if data != nil {
			have = strings.TrimSpace(vaultkit.Text(data["policy"]))
		}
		if have == want {
			continue
		}
		edits = append(edits, engine.Edit{
			Path: path, Have: have, Want: want,
			Apply: func(ctx context.Context) error {
				return c.Put(ctx, path, map[string]any{"policy": want + "\n"}, vaultkit.AllowAll(s.AllowWarnings)...)
			},
		})
	}
	return edits, nil
}
