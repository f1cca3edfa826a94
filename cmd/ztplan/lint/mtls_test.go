package lint_test

import (
	"fmt"
	"strings"
	"testing"
)

// Objects of each kind of gateway that ask for client certificates want a denial of one of
// their hosts, and a finding if they let others in.
func TestClientsOfGateways(t *testing.T) {
	gateway := func(hostname, mode string) string {
		return fmt.Sprintf(`{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: a, namespace: web}, spec: {
        listeners: [{name: web, port: 443, protocol: HTTPS, hostname: %s, tls: {certificateRefs: [{name: s}]}}],
        tls: {frontend: {default: {validation: {mode: %s, caCertificateRefs: [{group: "", kind: ConfigMap, name: clients}]}}}}}}`, hostname, mode)
	}
	const route = `, {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: a, namespace: web}, spec: {parentRefs: [{name: a}], hostnames: [hello.local]}}`
	ingress := func(verify string) string {
		return fmt.Sprintf(`{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: a, namespace: web, annotations: {
        nginx.ingress.kubernetes.io/auth-tls-secret: web/clients, nginx.ingress.kubernetes.io/auth-tls-verify-client: "%s"}},
        spec: {tls: [{hosts: [hello.local], secretName: s}]}}`, verify)
	}
	for name, c := range map[string]struct {
		object string
		skips  int
	}{
		"gateway":                   {gateway("hello.local", "AllowValidOnly"), 0},
		"gateway, host of a route":  {gateway(`""`, "AllowValidOnly") + route, 0},
		"gateway, one port":         {strings.Replace(gateway("hello.local", "AllowValidOnly"), "default: {validation:", "perPort: [{port: 443, tls: {validation:", 1), 0},
		"gateway that lets them in": {gateway("hello.local", "AllowInsecureFallback"), 1},
		"ingress-nginx":             {ingress("on"), 0},
		"ingress-nginx, optional":   {ingress("optional"), 1},
	} {
		if strings.Contains(c.object, "perPort") {
			c.object = strings.Replace(c.object, "name: clients}]}}}}}}", "name: clients}]}}}]}}}}", 1)
		}
		plan := fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
steps:
  - id: one
    uses: applyManifest
    with:
      manifests: [%s]
`, c.object)
		denial := func(host string) string {
			return plan + fmt.Sprintf(`  - id: denied
    uses: assertDenied
    with: {dial: {url: "https://%s", address: "127.0.0.1:443", trust: system, client: {secret: {namespace: a, name: b}}}}
`, host)
		}
		if got := findings(t, "clients-undenied", plan); len(got) != 1 {
			t.Errorf("%s: without a denial: %+v", name, got)
		}
		if got := findings(t, "clients-undenied", denial("hello.local")); len(got) != 0 {
			t.Errorf("%s: with a denial: %+v", name, got)
		}
		if got := findings(t, "clients-undenied", denial("other.local")); len(got) != 1 {
			t.Errorf("%s: with the denial of another host: %+v", name, got)
		}
		if got := findings(t, "clients-undenied", denial("${steps.one.objects[0]}")); len(got) != 0 {
			t.Errorf("%s: with the denial of a host that is not known yet: %+v", name, got)
		}
		if got := findings(t, "skipped-mtls", plan); len(got) != c.skips {
			t.Errorf("%s: skipped: %+v", name, got)
		}
	}
}

// The conditions of a Gateway are no proof either.
func TestProgrammedIsNoProof(t *testing.T) {
	plan := `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
steps:
  - id: one
    uses: applyManifest
    with:
      manifests:
        - {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: a, namespace: web}, spec: {
            listeners: [{name: web, port: 443, protocol: HTTPS, hostname: "*.local", tls: {certificateRefs: [{name: s}]}}]}}
      wait: {conditions: [{kind: Gateway, name: a, type: Programmed}]}
`
	if got := findings(t, "early-accepted", plan); len(got) != 1 || !strings.Contains(got[0].Message, "Gateway a is taken as served by its Programmed condition") {
		t.Errorf("%+v", got)
	}
	plan += "  - {id: call, uses: curlTLS, with: {url: \"https://hello.local\", address: \"127.0.0.1:443\", trust: system}}\n"
	if got := findings(t, "early-accepted", plan); len(got) != 0 {
		t.Errorf("with a request: %+v", got)
	}
}
