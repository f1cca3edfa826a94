package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

// withCertificates is a plan with an intermediate whose role is called web, its
// issuer, and Certificates, each given by its spec without issuer and key.
func withCertificates(role string, version string, specs ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
connections: {vault: {token: "${vars.token}"}}
vars: {token: {secret: true, default: x}}
steps:
  - {id: cm, uses: helmInstall, with: {repo: https://charts.jetstack.io, chart: cert-manager, version: %s}}
  - {id: int, uses: pkiIntermediate, with: {mount: pki_int, commonName: Int, ttl: 43800h, roles: [{name: web, %s}, {name: short, allowedDomains: [x], allowBareDomains: true, maxTTL: 1h}]}}
  - id: certs
    uses: applyManifest
    with:
      namespace: web
      manifests:
        - {apiVersion: cert-manager.io/v1, kind: ClusterIssuer, metadata: {name: vault}, spec: {vault: {path: pki_int/sign/web}}}
`, version, role)
	for i, s := range specs {
		fmt.Fprintf(&b, "        - apiVersion: cert-manager.io/v1\n          kind: Certificate\n          metadata: {name: c%d}\n          spec: {issuerRef: {name: vault, kind: ClusterIssuer}, privateKey: {rotationPolicy: Always}, %s}\n", i, s)
	}
	return b.String()
}

const webRole = "allowedDomains: [example.local], allowSubdomains: true, maxTTL: 720h"

func TestRenewalTimes(t *testing.T) {
	rules := []string{"certificate-duration", "certificate-renewal", "renewal-loop", "renewal-backoff", "duration-format", "lifetime-order"}
	for _, tt := range []struct {
		spec, version string
		want          string // the rules, and where
	}{
		{"duration: 3h, renewBeforePercentage: 80", "v1.21.0", ""},
		{"duration: 3h, renewBefore: 144m", "v1.21.0", ""},
		{"duration: 3h, renewBeforePercentage: 33", "v1.21.0", "renewal-backoff"},
		{"duration: 3h", "v1.21.0", "renewal-backoff"},
		{"duration: 4h", "v1.21.0", ""},
		{"duration: 24h", "v1.21.0", ""},
		{"renewBeforePercentage: 10, duration: 24h", "v1.21.0", ""},
		{"duration: 1h, renewBeforePercentage: 5", "v1.21.0", "certificate-renewal"},
		{"duration: 24h, renewBeforePercentage: 100", "v1.21.0", "certificate-renewal"},
		{"duration: 24h, renewBeforePercentage: 50, renewBefore: 12h", "v1.21.0", "certificate-renewal"},
		{"duration: 24h, renewBeforePercentage: 50", "v1.15.3", "certificate-renewal"},
		{"duration: 24h, renewBefore: 24h", "v1.21.0", "certificate-renewal"},
		{"duration: 30m", "v1.21.0", "certificate-duration"},
		{"duration: 1440h, renewBefore: 720h", "v1.21.0", "renewal-loop lifetime-order"},
		{"duration: 1440h, renewBefore: 719h", "v1.21.0", "lifetime-order"},
		{"duration: 1440h, renewBeforePercentage: 60", "v1.21.0", "lifetime-order"},
		{"duration: 720h, renewBefore: 480h", "v1.21.0", ""},
		{"duration: 90d, renewBefore: 30d", "v1.21.0", "duration-format duration-format"},
		{"duration: 24, renewBefore: 8h", "v1.21.0", "duration-format"},
	} {
		text := withCertificates(webRole, tt.version, "secretName: s, dnsNames: [a.example.local], "+tt.spec)
		var got []string
		for _, rule := range rules {
			for _, f := range findings(t, rule, text) {
				got = append(got, f.Rule)
				if !strings.HasPrefix(f.Position, "plan.yaml:18:") {
					t.Errorf("%s: %s is at %s, want the line of the field", tt.spec, f.Rule, f.Position)
				}
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %v, want %s", tt.spec, got, tt.want)
		}
	}
	f := findings(t, "duration-format", withCertificates(webRole, "v1.21.0", "secretName: s, duration: 90d"))
	if len(f) != 1 || f[0].Hint != "write 2160h" || f[0].Message != "Certificate c0: duration 90d is not a duration" {
		t.Errorf("got %+v", f)
	}
}

func TestOneCertificatePerSecret(t *testing.T) {
	for _, tt := range []struct {
		specs []string
		want  int
	}{
		{[]string{"secretName: a", "secretName: a"}, 1},
		{[]string{"secretName: a", "secretName: b"}, 0},
		{[]string{"secretName: a", "secretName: b", "secretName: a", "secretName: a"}, 2},
	} {
		if got := findings(t, "secret-conflict", withCertificates(webRole, "v1.21.0", tt.specs...)); len(got) != tt.want {
			t.Errorf("%v: got %v, want %d", tt.specs, got, tt.want)
		}
	}
	other := strings.Replace(withCertificates(webRole, "v1.21.0", "secretName: a", "secretName: a"), "metadata: {name: c1}", "metadata: {name: c1, namespace: other}", 1)
	if got := findings(t, "secret-conflict", other); len(got) != 0 {
		t.Errorf("in two namespaces: %v", got)
	}
}

func TestAllowedNames(t *testing.T) {
	for _, tt := range []struct {
		role, names string
		want        int
	}{
		{webRole, "dnsNames: [a.example.local, A.B.Example.Local, '*.example.local', localhost]", 0},
		{webRole, "dnsNames: [example.local, a.elsewhere.local, xexample.local]", 3},
		{webRole, "dnsNames: [a.example.local], commonName: b.elsewhere.local", 1},
		{"allowedDomains: [example.local], allowBareDomains: true", "dnsNames: [example.local]", 0},
		{"allowedDomains: [example.local], allowBareDomains: true", "dnsNames: [a.example.local]", 1},
		{"allowedDomains: ['a*.example.local'], allowGlobDomains: true", "dnsNames: [ab.example.local]", 0},
		{"allowedDomains: ['a*.example.local'], allowGlobDomains: true", "dnsNames: [b.example.local]", 1},
		{webRole + ", allowWildcardCertificates: false", "dnsNames: ['*.example.local']", 1},
		{webRole + ", extra: {allow_localhost: false}", "dnsNames: [localhost]", 1},
		{"extra: {allow_any_name: true}", "dnsNames: [b.elsewhere.local]", 0},
		{webRole + ", extra: {allowed_domains_template: true}", "dnsNames: [b.elsewhere.local]", 0},
		{webRole, "issuerRef: {name: other}, dnsNames: [b.elsewhere.local]", 0},
	} {
		text := withCertificates(tt.role, "v1.21.0", "secretName: a, "+tt.names)
		if strings.HasPrefix(tt.names, "issuerRef") {
			text = strings.Replace(text, "issuerRef: {name: vault, kind: ClusterIssuer}, ", "", 1)
		}
		if got := findings(t, "name-not-allowed", text); len(got) != tt.want {
			t.Errorf("%s %s: got %v, want %d", tt.role, tt.names, got, tt.want)
		}
	}
}

// TestCertificatesInFiles: findings have their place in the file.
func TestCertificatesInFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "certs.yaml")
	if err := os.WriteFile(file, []byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\napiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a}\nspec:\n  secretName: a\n  duration: 90d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := plan.Load(plan.Input{File: filepath.Join(dir, "plan.yaml"), Kinds: steps.All(), Connections: steps.Connections(), Data: []byte(
		"apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: p}\nsteps: [{id: a, uses: applyManifest, with: {files: [certs.yaml]}}, {id: b, uses: applyManifest, with: {manifests: \"kind: Certificate\\napiVersion: cert-manager.io/v1\\nmetadata: {name: b}\\nspec: {secretName: b, duration: 1d}\"}}]\n")})
	if p == nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range lint.Examine(p, lint.Options{}).Findings {
		if f.Rule == "duration-format" {
			got = append(got, strings.TrimPrefix(f.Position, dir+"/"))
		}
	}
	if want := "certs.yaml:10:3 plan.yaml:4:115"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestPoliciesMade(t *testing.T) {
	const text = `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
connections: {vault: {token: "${vars.token}"}}
vars: {token: {secret: true, default: x}}
steps:
  - {id: one, uses: k8sAuth, with: {policies: [{name: here, paths: {a: [read]}}], roles: [{name: r, serviceAccounts: [a], namespaces: [b], audience: x, policies: [%s]}]}}
  - {id: two, uses: k8sAuth, with: {mount: k2, policies: [{name: there, paths: {a: [read]}}]}}
`
	for policies, want := range map[string]int{"here": 0, "here, there, default": 0, "HERE": 0, "gone": 1, "here, gone, lost": 2} {
		got := findings(t, "policy-missing", fmt.Sprintf(text, policies))
		if len(got) != want {
			t.Errorf("%s: got %v, want %d", policies, got, want)
		}
		for _, f := range got {
			if !strings.HasPrefix(f.Position, "plan.yaml:7:") {
				t.Errorf("%s: at %s", policies, f.Position)
			}
		}
	}
}
