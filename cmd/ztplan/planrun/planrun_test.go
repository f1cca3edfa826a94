package planrun_test

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/planrun"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

// A plan that reaches only a Vault, by its address, has no cluster to hold its
// lock; any other that writes has.
func TestWhoNeedsALock(t *testing.T) {
	const head = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\n"
	const address = "connections: {vault: {address: https://127.0.0.1:8200, token: hvs.0123456789}}\n"
	const root = "  - id: root\n    uses: pkiRoot\n    with: {mount: pki, commonName: Root, issuerName: root, ttl: 24h, maxLeaseTTL: 24h}\n"
	const visit = "  - id: site\n    uses: curlTLS\n    with: {url: https://example.local/, trust: system}\n"
	const renewal = "  - id: rotation\n    uses: assertRotation\n    with: {certificate: {namespace: x, name: y}, url: https://example.local/, trust: system}\n"
	const object = "  - id: ns\n    uses: applyManifest\n    with: {manifests: {apiVersion: v1, kind: Namespace, metadata: {name: x}}}\n"
	const initFile = "  - id: init\n    uses: vaultInit\n    with: {shares: 1, threshold: 1, keys: {file: /nowhere/keys.json}}\n"
	const initSecret = "  - id: init\n    uses: vaultInit\n    with: {shares: 1, threshold: 1, keys: {secret: {namespace: x, name: y}}}\n"
	const unseal = "  - id: unseal\n    uses: vaultUnseal\n    with: {keys: {file: /nowhere/keys.json}}\n"
	const auth = "  - id: auth\n    uses: k8sAuth\n    with: {mount: kubernetes, config: {kubernetesHost: \"https://127.0.0.1:6443\"}"
	const later = "  - id: later\n    uses: pkiRoot\n    with: {vault: {address: \"https://${steps.root.issuerId}\"}, mount: pki, commonName: Root, issuerName: root, ttl: 24h, maxLeaseTTL: 24h}\n"
	for _, tc := range []struct {
		name, text string
		skip       []string
		want       bool
	}{
		{"Vault by address", address + "steps:\n" + root, nil, false},
		{"and a proof", address + "steps:\n" + root + visit, nil, false},
		{"and an object", address + "steps:\n" + root + object, nil, true},
		{"which is left out", address + "steps:\n" + root + object, []string{"ns"}, false},
		{"Vault through the cluster", "connections: {vault: {token: hvs.0123456789}}\nsteps:\n" + root, nil, true},
		{"keys in a file", address + "steps:\n" + initFile, nil, false},
		{"keys in the cluster", address + "steps:\n" + initSecret, nil, true},
		{"keys in the cluster, where is known later", address + "steps:\n" + root + strings.Replace(initSecret, "name: y", `name: "${steps.root.issuerId}"`, 1), nil, true},
		{"unsealing from a file", address + "steps:\n" + unseal, nil, false},
		{"an auth method", address + "steps:\n" + auth + "}\n", nil, false},
		{"and its account in the cluster", address + "steps:\n" + auth + ", serviceAccount: {namespace: x, name: y}}\n", nil, true},
		{"an address that is known later", address + "steps:\n" + root + later, nil, false},
		{"proofs alone", "steps:\n" + visit, nil, false},
		{"a proof that changes something", "steps:\n" + renewal, nil, true},
		{"which is left out, too", "steps:\n" + visit + renewal, []string{"rotation"}, false},
	} {
		p, err := plan.Load(plan.Input{File: "p.yaml", Data: []byte(head + tc.text), Kinds: steps.All(), Connections: steps.Connections()})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		chosen, err := p.Select(nil, tc.skip)
		if err != nil {
			t.Fatal(err)
		}
		if got := planrun.WritesToCluster(p, planrun.Nodes(p, chosen)); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}
