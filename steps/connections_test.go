package steps_test

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

// A step that gives one of two ways takes it instead of the one of the connection, also
// where both are inside of another input.
func TestAlternativesReplaceOneAnother(t *testing.T) {
	const account = "role: plan, serviceAccount: {namespace: vault, name: plan}, audience: vault, audiences: [https://k]"
	for name, c := range map[string]struct{ connection, own string }{
		"trust from another object":        {"trustFrom: {secret: {namespace: a, name: b}}", "trustFrom: {configMap: {namespace: a, name: c}}"},
		"trust from a file":                {"trustFrom: {secret: {namespace: a, name: b}}", "caBundle: ${steps.root.certificate}"},
		"a token instead of an account":    {"login: {" + account + "}", "login: {jwtFile: /nowhere/token}"},
		"another method":                   {"login: {" + account + "}", "login: {method: approle, roleID: a, secretIDFile: /nowhere/secret}"},
		"the usual method":                 {"login: {method: approle, roleID: a}", "login: {method: kubernetes, " + account + "}"},
		"the usual method, as in the plan": {"login: {" + account + "}", "login: {method: kubernetes, role: other}"},
		"the secret in a file":             {"login: {method: approle, roleID: a, secretID: '${vars.secret}'}", "login: {secretIDFile: /nowhere/secret}"},
	} {
		text := `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
vars: {secret: {value: x, secret: true}}
connections: {vault: {address: "https://vault.example.com", ` + c.connection + `}}
steps:
  - {id: root, uses: pkiRoot, with: {mount: pki, commonName: Root, ttl: 87600h, vault: {address: "https://other.example.com"}}}
  - id: own
    uses: pkiRoot
    needs: [root]
    with: {mount: pki2, commonName: Root, ttl: 87600h, vault: {` + c.own + `}}
`
		_, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(text), Kinds: steps.All(), Connections: steps.Connections()})
		if err != nil && strings.Contains(err.Error(), "step own") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
