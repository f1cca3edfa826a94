package lint_test

import (
	"cmp"
	"fmt"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

// findings applies one rule to a plan.
func findings(t *testing.T, rule, text string) []lint.Finding {
	t.Helper()
	p, err := plan.Load(plan.Input{Data: []byte(text), Kinds: steps.All(), Connections: steps.Connections()})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var out []lint.Finding
	for _, f := range lint.Examine(p, lint.Options{}).Findings {
		if f.Rule == rule {
			out = append(out, f)
		}
	}
	return out
}

// A plan whose variables have no values yet has no findings that follow from that: its
// configuration of Vault has a seal, with an address that a variable names.
func TestPlanWithoutValues(t *testing.T) {
	p, err := plan.Draft(plan.Input{File: "../../../plans/production.yaml", Kinds: steps.All(), Connections: steps.Connections()})
	if err == nil || p == nil {
		t.Fatalf("%v, want variables without values", err)
	}
	for _, f := range lint.Examine(p, lint.Options{}).Findings {
		if f.Severity == lint.Error {
			t.Errorf("%s: %s", f.Rule, f.Message)
		}
	}
}

func TestUnboundedDate(t *testing.T) {
	const denied = `path "pki_int/sign/web" {
		capabilities      = ["update"]
		denied_parameters = { "not_after" = [] }
	}`
	for _, c := range []struct {
		name, version, tag, rules string
		paths                     map[string][]string
		want                      int
	}{
		{name: "sign alone", paths: map[string][]string{"pki_int/sign/web": {"update"}}, want: 1},
		{name: "both", paths: map[string][]string{"pki_int/issue/web": {"update"}, "+/sign/web": {"create", "update"}}, want: 2},
		{name: "a glob", rules: `path "pki_int/sign/*" { capabilities = ["update"] }`, want: 1},
		{name: "denied", rules: denied},
		{name: "denied behind a glob", rules: denied + ` path "pki_int/*" { capabilities = ["read"] }`},
		{name: "a glob behind what is denied", rules: denied + ` path "pki_int/issue/*" { capabilities = ["update"] }`, want: 1},
		{name: "everything denied", rules: `path "pki_int/sign/web" { capabilities = ["update"] denied_parameters = { "*" = [] } }`},
		{name: "others allowed", rules: `path "pki_int/sign/web" { capabilities = ["update"] allowed_parameters = { "csr" = [], "ttl" = [] } }`},
		{name: "all allowed", rules: `path "pki_int/sign/web" { capabilities = ["update"] allowed_parameters = { "*" = [] } }`, want: 1},
		{name: "who writes the role", paths: map[string][]string{"pki_int/*": {"create", "read", "update"}}},
		{name: "who may only read", paths: map[string][]string{"pki_int/sign/web": {"read"}}},
		{name: "denied at all", paths: map[string][]string{"pki_int/sign/web": {"deny", "update"}}},
		{name: "another role", paths: map[string][]string{"pki_int/sign/other": {"update"}}},
		{name: "not understood", rules: `path {`},
		{name: "a chart with the fix", version: "0.34.0", paths: map[string][]string{"pki_int/sign/web": {"update"}}},
		{name: "a chart without", version: "0.33.0", paths: map[string][]string{"pki_int/sign/web": {"update"}}, want: 1},
		{name: "1.20.13", tag: "1.20.13", paths: map[string][]string{"pki_int/sign/web": {"update"}}},
		{name: "1.20.12", tag: "1.20.12", version: "0.34.1", paths: map[string][]string{"pki_int/sign/web": {"update"}}, want: 1},
		{name: "1.19.19", tag: "v1.19.19-ubi", paths: map[string][]string{"pki_int/sign/web": {"update"}}},
		{name: "1.21.7", tag: "1.21.7", paths: map[string][]string{"pki_int/sign/web": {"update"}}, want: 1},
		{name: "2.0.2", tag: "2.0.2", paths: map[string][]string{"pki_int/sign/web": {"update"}}, want: 1},
		{name: "2.1.0", tag: "2.1.0", paths: map[string][]string{"pki_int/sign/web": {"update"}}},
		{name: "no version", tag: "nightly", paths: map[string][]string{"pki_int/sign/web": {"update"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			policy, err := yaml.Marshal(map[string]any{"name": "p", "rules": c.rules, "paths": c.paths})
			if err != nil {
				t.Fatal(err)
			}
			var flow yaml.Node
			if err := yaml.Unmarshal(policy, &flow); err != nil {
				t.Fatal(err)
			}
			flow.Content[0].Style = yaml.FlowStyle
			if policy, err = yaml.Marshal(&flow); err != nil {
				t.Fatal(err)
			}
			values := ""
			if c.tag != "" {
				values = ", values: {server: {image: {tag: " + c.tag + "}}}"
			}
			have := findings(t, "unbounded-date", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
connections: {vault: {token: "${vars.token}"}}
vars: {token: {secret: true, default: x}}
steps:
  - {id: vault, uses: helmInstall, with: {repo: https://helm.releases.hashicorp.com, chart: vault, version: %s%s}}
  - {id: int, uses: pkiIntermediate, with: {commonName: Int, roles: [{name: web, allowedDomains: [a.example], allowSubdomains: true, maxTTL: 1h}]}}
  - {id: auth, uses: k8sAuth, with: {policies: [%s]}}
`, cmp.Or(c.version, "0.31.0"), values, policy))
			if len(have) != c.want {
				t.Errorf("findings %v, want %d", have, c.want)
			}
		})
	}
}
