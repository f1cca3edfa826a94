package lint_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

const guideFile = "../../../testdata/lint/guide.yaml"

// guide returns the printed guide as a plan, with texts replaced: old, new, old, new.
func guide(t *testing.T, replace []string) string {
	t.Helper()
	b, err := os.ReadFile(guideFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i+1 < len(replace); i += 2 {
		if strings.Count(text, replace[i]) != 1 {
			t.Fatalf("%q is %d times in the guide", replace[i], strings.Count(text, replace[i]))
		}
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	return text
}

// draft reads a plan that may be invalid.
func draft(t *testing.T, text string) *plan.Plan {
	t.Helper()
	p, _ := plan.Draft(plan.Input{Data: []byte(text), Kinds: steps.All(), Connections: steps.Connections()})
	if p == nil {
		t.Fatal("no plan")
	}
	return p
}

// lineOf returns the place of the line of a text that holds words, "plan.yaml:7".
func lineOf(t *testing.T, text, words string) string {
	t.Helper()
	before, _, ok := strings.Cut(text, words)
	if !ok {
		t.Fatalf("%q is not in the plan", words)
	}
	return fmt.Sprintf("plan.yaml:%d", strings.Count(before, "\n")+1)
}

const (
	reviewer  = "        tokenReviewerJWT: \"@/var/run/secrets/kubernetes.io/serviceaccount/token\"\n"
	authority = "        kubernetesCACert: \"@/var/run/secrets/kubernetes.io/serviceaccount/ca.crt\"\n"
	curled    = "      insecure: true\n"
	proved    = "      trust: ${steps.root.certificate}\n" + `
  - id: rotation
    uses: assertRotation
    needs: [curl]
    with:
      certificate: {namespace: ingress-apisix, name: hello-cert}
      url: https://hello.example.local
      service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}
      trust: ${steps.root.certificate}
`
	presented = "      trust: ${steps.root.certificate}\n      client: {secret: {namespace: apps, name: client-tls}}\n"
	refused   = `
  - id: strangers
    uses: assertDenied
    with:
      dial:
        url: https://hello.example.local
        trust: ${steps.root.certificate}
        client: {secret: {namespace: apps, name: client-tls}}
`
	asking = `            hosts:
              - "*.example.local"
`
	mutual = asking + `            client:
              caSecret: {name: clients, namespace: ingress-apisix}
`
)

// anotherProved is proved, of another Certificate.
var anotherProved = strings.Replace(proved, "name: hello-cert", "name: other-cert", 1)

// The weak points F1 to F16 of the guide. Each is found on the guide itself, or, where
// the guide is right with the versions of its day or does not cover the point, on the
// guide with a text that does. A near twin, which is right, has no finding of the rule.
//
// Found at run time only, because no plan has it: F2 without RollingUpdate (helmInstall
// waits for a running pod, vaultInit for seal-status), F5 for charts that are neither
// cached nor known (helmInstall warns), F7 and F8 for the state of the cluster
// (assertRotation and curlTLS measure instead), F9 for authorities that are there already
// (pkiRoot adopts them by name), F13 for a key file that git would pick up (vaultInit
// refuses).
func guideCases() []ruleCase {
	return []ruleCase{
		{"F1", "token-permission", nil, "version: v1.21.2", []string{"version: v1.21.2", "version: v1.19.2"}},
		{"F1", "token-permission", []string{"version: v1.21.2", "version: v1.15.5"}, "version: v1.15.5", []string{"          tokenTTL: 24h\n", "          tokenTTL: 24h\n      serviceAccount: {namespace: cert-manager, name: cert-manager}\n      tokenRequest: {grantTo: {namespace: cert-manager, serviceAccount: cert-manager}}\n"}},
		{"F1", "token-permission", []string{"version: v1.21.2", "version: v1.19.2", "                  serviceAccountRef:\n                    name: cert-manager", "                  serviceAccountRef:\n                    name: vault-issuer"}, "version: v1.19.2", []string{"version: v1.21.2", "version: v1.20.0"}},
		{"F1", "token-permission-upgrade", []string{"version: v1.21.2", "version: v1.19.2"}, "version: v1.19.2", []string{"          tokenTTL: 24h\n", "          tokenTTL: 24h\n      serviceAccount: {namespace: cert-manager, name: cert-manager}\n      tokenRequest: {grantTo: {namespace: cert-manager, serviceAccount: cert-manager}}\n"}},
		{"F2", "vault-waits-sealed", []string{"          standalone: {enabled: true}", "          standalone: {enabled: true}\n          updateStrategyType: RollingUpdate"}, "updateStrategyType", []string{"          standalone: {enabled: true}", "          standalone: {enabled: true}\n          updateStrategyType: OnDelete"}},
		{"F3", "gateway-never-rotates", []string{"version: 2.12.5", "version: 2.12.4"}, "version: 2.12.4", []string{"version: 2.12.5", "version: 2.12.6"}},
		{"F4", "gateway-event-loss", nil, "version: 2.12.5", []string{"        gateway:\n", "        image: {tag: 3.18.0-ubuntu}\n        gateway:\n"}},
		{"F5", "unknown-value", nil, "- name: poly-cache", []string{"          customLuaSharedDicts:\n            - name: poly-cache\n              size: 10m", "          nginx:\n            customLuaSharedDicts:\n              - {name: poly-cache, size: 10m}"}},
		{"F5", "unused-value", nil, "              namespace: ingress-apisix", []string{"            adminService:\n              namespace: ingress-apisix\n", "            adminService:\n              name: apisix-admin\n"}},
		{"F6", "renewal-backoff", nil, "renewBefore: 55m", []string{"        crds: {enabled: true}", "        crds: {enabled: true}\n        config: {certificateRequestMinimumBackoffDuration: 1m}"}},
		{"F7", "stale-ready", nil, "type: Ready", []string{curled, proved}},
		{"F8", "gateway-proxy", []string{"createDefault: true", "createDefault: false"}, "createDefault: false", nil},
		{"F8", "gateway-proxy", []string{"          gatewayProxy:\n            createDefault: true\n", ""}, "chart: apisix", nil},
		{"F8", "early-accepted", []string{"url: https://hello.example.local", "url: https://hello.example.org"}, "type: Accepted", nil},
		{"F9", "issuer-name", nil, "- id: root", []string{"commonName: Root CA Lab", "commonName: Root CA Lab\n      issuerName: root-lab", "commonName: Intermediate CA Lab", "commonName: Intermediate CA Lab\n      issuerName: intermediate-lab"}},
		{"F10", "reviewer-token", nil, "tokenReviewerJWT", []string{reviewer, "", authority, ""}},
		{"F11", "audience", nil, "- name: cert-manager\n          serviceAccounts", []string{"          tokenTTL: 24h", "          audience: vault://vault-issuer\n          tokenTTL: 24h"}},
		{"F12", "unverified-tls", nil, "insecure: true", []string{curled, "      trust: ${steps.root.certificate}\n      headers: {Upgrade-Insecure-Requests: \"1\"}\n"}},
		{"F13", "plain-keys", nil, "keys: {file: vault-cluster-keys.json}", []string{"      threshold: 3\n      keys: {file: vault-cluster-keys.json}", "      threshold: 3\n      keys: {file: vault-cluster-keys.json, custodians: [{name: a, age: x}]}"}},
		{"F13", "root-token-kept", nil, "shares: 5", []string{"      threshold: 3\n", "      threshold: 3\n      rootToken: revoke\n"}},
		{"F13", "no-unseal", []string{"  - id: unseal\n    uses: vaultUnseal\n    needs: [init]\n    with:\n      keys: {file: vault-cluster-keys.json}\n", ""}, "- id: init", nil},
		{"F14", "rotation-policy", []string{"version: v1.21.2", "version: v1.17.0"}, "secretName: hello-tls", []string{"            secretName: hello-tls", "            secretName: hello-tls\n            privateKey: {rotationPolicy: Always}"}},
		{"F15", "floating-image", nil, "chart: apisix", []string{"        gateway:\n", "        etcd: {image: {digest: sha256:00}}\n        gateway:\n", "image: nginx:stable", "image: nginx:1.28.0"}},
		{"F15", "floating-image", nil, "- name: nginx", []string{"        gateway:\n", "        etcd: {image: {tag: 3.5.21}}\n        gateway:\n", "image: nginx:stable", "image: nginx@sha256:00"}},
		{"F16", "helm-support", nil, "uses: helmInstall", nil},
	}
}

// A ruleCase is a finding of a rule on the guide, and a text without it.
type ruleCase struct {
	point, rule string
	with        []string // texts that the guide has instead, for the finding
	line        string   // words in the line of the finding
	twin        []string // texts that make it right
}

func TestGuide(t *testing.T) {
	for _, tt := range guideCases() {
		t.Run(tt.point+" "+tt.rule, tt.check)
	}
}

func (tt ruleCase) check(t *testing.T) {
	text := guide(t, tt.with)
	var places []string
	for _, f := range lint.Examine(draft(t, text), lint.Options{Helm: "v3.21"}).Findings {
		if f.Rule == tt.rule {
			places = append(places, f.Position[:strings.LastIndexByte(f.Position, ':')])
		}
	}
	if want := lineOf(t, text, tt.line); !slices.Contains(places, want) {
		t.Errorf("found at %v, want %s", places, want)
	}
	helm := "v3.21"
	if tt.rule == "helm-support" {
		helm = "v4.2"
	}
	for _, f := range lint.Examine(draft(t, guide(t, tt.twin)), lint.Options{Helm: helm}).Findings {
		// The guide has more unknown values than the one of the twin.
		if f.Rule == tt.rule && (f.Rule != "unknown-value" || strings.Contains(f.Message, "customLuaSharedDicts")) {
			t.Errorf("the twin has %s: %s", f.Position, f.Message)
		}
	}
}

// All of the guide's values that chart 2.12.5 ignores are found without the chart.
func TestGuideValues(t *testing.T) {
	var got []string
	for _, f := range lint.Examine(draft(t, guide(t, nil)), lint.Options{}).Findings {
		if f.Rule == "unknown-value" || f.Rule == "unused-value" {
			for word := range strings.FieldsSeq(f.Message) {
				if strings.Contains(word, ".") && !strings.HasPrefix(word, "2.") {
					got = append(got, strings.TrimSuffix(word, ",")+":"+strings.Split(f.Position, ":")[1])
				}
			}
		}
	}
	want := []string{
		"apisix.customLuaSharedDicts:28", "dashboard.enabled:63",
		"gateway.http.containerPort:36", "gateway.http.enabled:34", "gateway.http.servicePort:35",
		"gateway.tls.containerPort:40", "gateway.tls.enabled:38", "gateway.tls.servicePort:39", "gateway.type:32",
		"ingress-controller.apisix.adminKey:57", "ingress-controller.apisix.adminServerAddress:56", "ingress-controller.apisix.adminService.namespace:55",
		"ingress-controller.config.kubernetes.apisixRouteRootNamespace:51", "ingress-controller.config.kubernetes.enableNamespaceSelector:49",
		"ingress-controller.config.kubernetes.ingressVersion:47", "ingress-controller.config.kubernetes.namespaces:50", "ingress-controller.config.kubernetes.watchNamespace:48",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// The weight of a finding depends on the version where the effect does.
func TestSeverities(t *testing.T) {
	for _, tt := range []struct {
		rule string
		with []string
		want string
	}{
		{"rotation-policy", []string{"version: v1.21.2", "version: v1.17.4"}, "warning"},
		{"rotation-policy", nil, "note"},
		{"policy-duplicate", []string{signPath, signPath + "\n              capabilities = [\"read\"]"}, "warning"},
		{"policy-duplicate", []string{signPath, signPath + "\n              capabilities = [\"read\"]", "version: 0.31.0", "version: 0.34.1"}, "error"},
		{"issuer-namespace", []string{service, service + "    namespace: teams/shop\n"}, "error"},
		{"issuer-trust", []string{service, "    address: https://vault.example.com:8200\n    trustFrom: {secret: {namespace: vault, name: ca, key: ca.crt}}\n", "server: http://vault.vault", "server: https://vault.vault"}, "warning"},
		{"issuer-trust", []string{service, "    address: https://vault.example.com:8200\n    trustFrom: {secret: {namespace: vault, name: ca, key: ca.crt}}\n", "server: http://vault.vault.svc.cluster.local", "server: https://vault.example.com"}, "error"},
	} {
		var got []string
		for _, f := range lint.Examine(draft(t, guide(t, tt.with)), lint.Options{}).Findings {
			if f.Rule == tt.rule {
				got = append(got, string(f.Severity))
			}
		}
		if !slices.Equal(got, []string{tt.want}) {
			t.Errorf("%s with %q: %v, want %s", tt.rule, tt.with, got, tt.want)
		}
	}
}
