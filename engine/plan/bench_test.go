package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/engine/plan"
)

// realistic writes a plan of n steps: of every ten, charts with values, an
// authority with roles, probes with references to steps before them.
func realistic(n int) []byte {
	var b strings.Builder
	b.WriteString(head + `
vars:
  domain: example.local
  namespace: {default: vault, description: where everything goes}
connections:
  vault:
    service: {namespace: "${vars.namespace}", name: vault, port: 8200}
    token: ${steps.s0.rootToken}
steps:
  - id: s0
    uses: vaultInit
    with: {shares: 5, threshold: 3}
`)
	for i := 1; i < n; i++ {
		switch i % 10 {
		case 1, 2, 3:
			fmt.Fprintf(&b, `
  - id: s%d
    uses: helmInstall
    # The chart is pinned, and so are its values.
    with:
      chart: vault
      version: 0.31.0
      namespace: ${vars.namespace}
      values:
        server:
          dataStorage: {enabled: true, size: 1Gi}
          standalone: {enabled: true}
          extraLabels: {app: "app-%d", domain: "${vars.domain}"}
      labels: {team: platform}
`, i, i)
		case 4, 5, 6:
			fmt.Fprintf(&b, `
  - id: s%d
    uses: pkiRoot
    needs: [s%d, s%d]
    retry: {attempts: 5, delay: 2s, backoff: 2, maxDelay: 30s}
    timeout: 2m
    with:
      mount: pki-%d
      commonName: Root CA %d of ${plan.name}
      ttl: 87600h
      roles:
        - {name: web, domains: ["${vars.domain}", "www.${vars.domain}"]}
`, i, i-3, max(0, i-10), i, i)
		default:
			authority := i - i%10 + 6
			if authority > i {
				authority -= 10
			}
			if authority < 1 {
				authority = 4
			}
			fmt.Fprintf(&b, `
  - id: s%d
    uses: curlTLS
    when: ${vars.domain} != "" && ${steps.s%d.ready}
    with:
      url: "https://hello-%d.${vars.domain}:${steps.s%d.port}"
      trust: ${steps.s%d.certificate}
      expect:
        status: 200
        header: {server: APISIX}
`, i, authority, i, authority, authority)
		}
	}
	return []byte(b.String())
}

func BenchmarkLoad10000(b *testing.B) {
	data := realistic(10_000)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		p, err := plan.Load(plan.Input{File: "plan.yaml", Data: data, Kinds: kinds(), Connections: connections()})
		if err != nil {
			b.Fatal(err)
		}
		if len(p.Steps) != 10_000 {
			b.Fatal(len(p.Steps))
		}
	}
}

// BenchmarkInclude reports how much longer a plan takes whose steps are those of a fragment
// than the same steps as its own.
func BenchmarkInclude(b *testing.B) {
	const n = 1000
	include, own := "steps:\n", "steps:\n"
	for i := range n {
		include += fmt.Sprintf("  - {id: s%d, include: part.yaml, with: {name: host-%d}}\n", i, i)
		own += fmt.Sprintf("  - {id: s%d-ca, uses: pkiRoot, with: {commonName: host-%d, mount: \"${plan.name}\"}}\n", i, i) +
			fmt.Sprintf("  - {id: s%d-site, uses: curlTLS, with: {url: \"https://host-%d\", trust: \"${steps.s%d-ca.certificate}\"}}\n", i, i, i)
	}
	file := filepath.Join(b.TempDir(), "part.yaml")
	const part = fragmentHead + `vars: {name: }
steps:
  - {id: ca, uses: pkiRoot, with: {commonName: "${vars.name}", mount: "${plan.name}"}}
  - {id: site, uses: curlTLS, with: {url: "https://${vars.name}", trust: "${steps.ca.certificate}"}}
`
	if err := os.WriteFile(file, []byte(part), 0o600); err != nil {
		b.Fatal(err)
	}
	load := func(body string) func() {
		return func() {
			p, err := plan.Load(plan.Input{File: filepath.Join(filepath.Dir(file), "plan.yaml"), Data: []byte(head + body), Kinds: kinds(), Connections: connections()})
			if err != nil || len(p.Steps) != 2*n {
				b.Fatal(err)
			}
		}
	}
	enginetest.Ratio(b, "t(include)/t(own)", load(own), load(include))
}

func BenchmarkSpec(b *testing.B) {
	p, err := plan.Load(plan.Input{File: "plan.yaml", Data: realistic(20), Kinds: kinds(), Connections: connections()})
	if err != nil {
		b.Fatal(err)
	}
	out := guideOutputs()
	outputs := func(id string) (any, bool) {
		if id == "s0" {
			return out["init"], true
		}
		return out["root"], true
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range p.Steps {
			if _, err := s.Spec(outputs); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// TestManyProblems makes sure that a large plan full of mistakes is answered
// about as fast as one without.
func TestManyProblems(t *testing.T) {
	data := strings.ReplaceAll(string(realistic(3000)), "${steps.s", "${steps.sx")
	_, err := plan.Load(plan.Input{File: "plan.yaml", Data: []byte(data), Kinds: kinds(), Connections: connections()})
	if err == nil || strings.Count(err.Error(), "there is no step") < 3000 {
		t.Errorf("want many problems")
	}
}
