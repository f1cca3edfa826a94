package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

// rulesAt returns the findings as "rule:line".
func rulesAt(findings []lint.Finding) []string {
	out := []string{}
	for _, f := range findings {
		out = append(out, fmt.Sprintf("%s:%d", f.Rule, f.Place.Line))
	}
	return out
}

func TestIgnore(t *testing.T) {
	const head = "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\nsteps:\n" // four lines
	const step = "  - id: init\n    uses: vaultInit\n    with:\n%s\n  - {id: unseal, uses: vaultUnseal, with: {keys: {file: k.json}}}\n" +
		"  - {id: proof, uses: curlTLS, with: {url: 'https://a.example', trust: system}} # ztplan:ignore rotation-unproved not ours\n"
	for _, tt := range []struct {
		name, with string
		want       []string
	}{
		{"behind it", "      rootToken: keep # ztplan:ignore root-token-kept lab\n      keys: {file: k.json} # ztplan:ignore plain-keys lab", nil},
		{"above it", "      # ztplan:ignore root-token-kept lab\n      rootToken: keep\n      # ztplan:ignore plain-keys lab\n      keys: {file: k.json}", nil},
		{"two above it, and more", "      # ztplan:ignore one-share lab\n\n      # because\n      # ztplan:ignore root-token-kept lab\n      threshold: 1\n      shares: 1\n      rootToken: revoke\n      keys: {file: k.json} #ztplan:ignore plain-keys lab",
			[]string{"ignore-unused:11"}},
		{"on another line", "      rootToken: keep\n      # ztplan:ignore root-token-kept lab\n      keys: {file: k.json}",
			[]string{"plain-keys:10", "root-token-kept:8", "ignore-unused:9"}},
		{"another rule", "      rootToken: revoke\n      keys: {file: k.json} # ztplan:ignore root-token-kept lab", []string{"plain-keys:9", "ignore-unused:9"}},
		{"no reason", "      rootToken: revoke\n      keys: {file: k.json} # ztplan:ignore plain-keys", []string{"plain-keys:9", "ignore-reason:9"}},
		{"no rule", "      rootToken: revoke\n      keys: {file: k.json} # ztplan:ignore", []string{"plain-keys:9", "ignore-unknown:9"}},
		{"no such rule", "      rootToken: revoke\n      keys: {file: k.json} # ztplan:ignore plain-key lab", []string{"plain-keys:9", "ignore-unknown:9"}},
		{"in a text", "      rootToken: revoke\n      keys: {file: 'a # ztplan:ignore plain-keys lab'}", []string{"plain-keys:9"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := lint.Examine(draft(t, head+fmt.Sprintf(step, tt.with)), lint.Options{})
			var got []string
			for _, f := range rulesAt(r.Findings) {
				if !strings.HasPrefix(f, "invalid") {
					got = append(got, f)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// Comments in manifests and values are read as well, and those in texts are none.
func TestIgnoreInFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"values.yaml":   "etcd: {enabled: false}\nimage:\n  tag: latest # ztplan:ignore floating-image lab\nservice: {http: {enabled: false}}\n",
		"manifest.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  text: |\n    # ztplan:ignore plain-keys this is a text\n    more\n  folded: >\n    a\n\n    b # ztplan:ignore plain-keys this too\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  # ztplan:ignore floating-image lab\n  containers: [{name: a, image: nginx}]\n",
		"plan.yaml": "apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\nsteps:\n  - {id: a, uses: applyManifest, with: {files: [manifest.yaml]}}\n" +
			"  - id: b # ztplan:ignore no-proof lab\n    uses: helmInstall # ztplan:ignore helm-support lab\n    with: {repo: 'https://a.example', chart: apisix, version: 2.18.0, valuesFiles: [values.yaml]} # ztplan:ignore admin-key lab\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := plan.Load(plan.Input{File: filepath.Join(dir, "plan.yaml"), Kinds: steps.All(), Connections: steps.Connections()})
	if err != nil {
		t.Fatal(err)
	}
	r := lint.Examine(p, lint.Options{})
	if len(r.Findings) != 0 || len(r.Ignored) != 5 || r.Ignored[0].Reason != "lab" {
		t.Errorf("findings %+v\nignored %+v", r.Findings, r.Ignored)
	}
}

func TestBudgets(t *testing.T) {
	for _, tt := range []struct{ spec, version, role, want string }{
		{"duration: 1h, renewBefore: 55m", "v1.21.2", webRole, "1h 55m 1h -5m"},
		{"duration: 24h", "v1.21.2", webRole, "24h 8h 1h 7h"},
		{"duration: 24h, renewBeforePercentage: 50", "v1.21.2", webRole, "24h 12h 1h 11h"},
		{"duration: 24h, renewBefore: 3h", "v1.21.2", "maxTTL: 12h", "12h 3h 1h 2h"},
		{"duration: 24h, renewBefore: 3h", "v1.21.2", "maxTTL: 30m", "30m 10m 1h -50m"},
		{"duration: 90d", "v1.21.2", webRole, ""},
	} {
		text := withCertificates(tt.role, tt.version, "secretName: s, "+tt.spec)
		got := ""
		for _, b := range lint.Examine(draft(t, text), lint.Options{}).Budgets {
			if b.Certificate != "web/c0" || b.Step != "certs" || !strings.HasPrefix(b.Position, "plan.yaml:18:") {
				t.Errorf("%s: %+v", tt.spec, b)
			}
			got = fmt.Sprintf("%s %s %s %s", b.Duration, b.RenewBefore, b.Backoff, b.Remains)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.spec, got, tt.want)
		}
	}
	values := strings.Replace(guide(t, nil), "        crds: {enabled: true}", "        crds: {enabled: true}\n        config: {certificateRequestMinimumBackoffDuration: 1m}", 1)
	for version, want := range map[string]string{"v1.21.2": "54m", "v1.19.2": "-5m"} {
		b := lint.Examine(draft(t, strings.Replace(values, "version: v1.21.2", "version: "+version, 1)), lint.Options{}).Budgets
		if len(b) != 1 || b[0].Remains.String() != want {
			t.Errorf("cert-manager %s: %+v, want %s", version, b, want)
		}
	}
}

// The chart beside the plan decides which values it ignores, and which were
// meant.
func TestValuesOfAChart(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	p := draft(t, `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
steps:
  - id: gateway
    uses: helmInstall
    with:
      chart: `+filepath.Join(here, "../../ztlab/charts/apisix")+`
      version: 2.14.0
      values:
        image: {tagg: 3.18.0}
        service: {http: {servicePort: 80}, type: NodePort}
        gateway: {type: NodePort}
        ingress-controller: {enabled: true, gatewayProxy: {creatDefault: true}, apisix: {adminService: {namespace: a, name: b}}}
`)
	var got []string
	for _, f := range lint.Examine(p, lint.Options{}).Findings {
		if f.Rule == "unknown-value" || f.Rule == "unused-value" {
			got = append(got, fmt.Sprintf("%s:%d %s", f.Rule, f.Place.Line, f.Hint))
		}
	}
	want := []string{
		"unknown-value:13 since chart 2.0.0: service.type",
		"unknown-value:11 did you mean image.tag?",
		"unknown-value:14 did you mean ingress-controller.gatewayProxy.createDefault?",
		"unused-value:14 since chart 2.11.1 the GatewayProxy is in the namespace of the release",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
