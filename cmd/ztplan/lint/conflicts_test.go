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

func TestHostConflict(t *testing.T) {
	tls := func(name, class, hosts, secret string) string {
		return fmt.Sprintf("{apiVersion: apisix.apache.org/v2, kind: ApisixTls, metadata: {name: %s, namespace: web}, "+
			"spec: {ingressClassName: %s, hosts: [%s], secret: {name: %s, namespace: web}}}", name, class, hosts, secret)
	}
	ingress := func(name, class, hosts, secret string) string {
		return fmt.Sprintf("{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: %s, namespace: web}, "+
			"spec: {ingressClassName: %s, rules: [{host: rule.local}], tls: [{hosts: [%s], secretName: %s}]}}", name, class, hosts, secret)
	}
	gateway := func(name, proxy, hostname, port string, secrets ...string) string {
		var refs []string
		for _, s := range secrets {
			refs = append(refs, "{name: "+s+"}")
		}
		return fmt.Sprintf("{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: %s, namespace: web}, "+
			"spec: {gatewayClassName: any, infrastructure: {parametersRef: {group: apisix.apache.org, kind: %s, name: proxy}}, "+
			"listeners: [{name: web, port: %s, protocol: HTTPS, hostname: %s, tls: {certificateRefs: [%s]}}]}}", name, proxy, port, hostname, strings.Join(refs, ", "))
	}
	for _, c := range []struct {
		name string
		a, b string
		want int
	}{
		{"two Ingresses", ingress("a", "nginx", "hello.local", "s1"), ingress("b", "nginx", "hello.local", "s2"), 1},
		{"two Ingresses, by their rules", ingress("a", "nginx", "", "s1"), ingress("b", "nginx", "rule.local", "s2"), 1},
		{"two Ingresses with one Secret", ingress("a", "nginx", "hello.local", "s1"), ingress("b", "nginx", "hello.local", "s1"), 0},
		{"two Ingresses of two classes", ingress("a", "nginx", "hello.local", "s1"), ingress("b", "inner", "hello.local", "s2"), 0},
		{"an Ingress and an ApisixTls", ingress("a", "apisix", "hello.local", "s1"), tls("a", "apisix", "hello.local", "s2"), 1},
		{"two Gateways", gateway("a", "Other", "hello.local", "443", "s1"), gateway("b", "Other", "hello.local", "443", "s2"), 0},
		{"two Gateways of one APISIX", gateway("a", "GatewayProxy", "hello.local", "443", "s1"), gateway("b", "GatewayProxy", "hello.local", "8443", "s2"), 1},
		{"two certificates of one listener", gateway("a", "GatewayProxy", "hello.local", "443", "s1", "s2"), ingress("b", "apisix", "x.local", "s1"), 0},
		{"no hostname", gateway("a", "GatewayProxy", `""`, "443", "s1"), gateway("b", "GatewayProxy", `""`, "443", "s2"), 0},
		{"one wildcard", tls("a", "apisix", `"*.example.local"`, "s1"), tls("b", "apisix", `"*.example.local"`, "s2"), 1},
		{"one name of several", tls("a", "apisix", "x.local, hello.local", "s1"), tls("b", "apisix", "hello.local, y.local", "s2"), 1},
		{"two names", tls("a", "apisix", "x.local, y.local", "s1"), tls("b", "apisix", "y.local, x.local", "s2"), 2},
		{"case and a dot at the end", tls("a", "apisix", "Hello.local.", "s1"), tls("b", "apisix", "hello.LOCAL", "s2"), 1},
		{"no class", tls("a", `""`, "hello.local", "s1"), tls("b", `""`, "hello.local", "s2"), 1},
		{"an exact name beside a wildcard", tls("a", "apisix", `"*.example.local"`, "s1"), tls("b", "apisix", "hello.example.local", "s2"), 0},
		{"a longer wildcard", tls("a", "apisix", `"*.local"`, "s1"), tls("b", "apisix", `"*.example.local"`, "s2"), 0},
		{"the same Secret", tls("a", "apisix", "hello.local", "s1"), tls("b", "apisix", "hello.local", "s1"), 0},
		{"another class", tls("a", "apisix", "hello.local", "s1"), tls("b", "inner", "hello.local", "s2"), 0},
		{"the same object again", tls("a", "apisix", "hello.local", "s1"), tls("a", "apisix", "hello.local", "s1"), 0},
		{"another kind", tls("a", "apisix", "hello.local", "s1"), strings.Replace(tls("b", "apisix", "hello.local", "s2"), "ApisixTls", "Other", 1), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := findings(t, "host-conflict", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
steps:
  - {id: one, uses: applyManifest, with: {manifests: [%s]}}
  - {id: two, uses: applyManifest, with: {manifests: [%s]}}
`, c.a, c.b))
			if len(got) != c.want {
				t.Errorf("%d findings, want %d: %+v", len(got), c.want, got)
			}
		})
	}
}

// Both places are in the finding, one in a file and one in the plan.
func TestHostConflictPlaces(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file("other.yaml", `apiVersion: v1
kind: Namespace
metadata: {name: web}
---
apiVersion: apisix.apache.org/v2
kind: ApisixTls
metadata: {name: a, namespace: web}
spec: {ingressClassName: apisix, hosts: ["*.example.local"], secret: {name: s1, namespace: web}}
`)
	path := file("plan.yaml", `apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: p}
vars: {domain: example.local}
steps:
  - id: one
    uses: applyManifest
    with:
      files:
        - other.yaml
  - id: two
    uses: applyManifest
    with:
      manifests:
        - apiVersion: v1
          kind: Namespace
          metadata: {name: shop}
        - apiVersion: apisix.apache.org/v2
          kind: ApisixTls
          metadata: {name: b, namespace: shop}
          spec: {ingressClassName: apisix, hosts: ["*.${vars.domain}"], secret: {name: s2, namespace: shop}}
`)
	p, err := plan.Load(plan.Input{File: path, Kinds: steps.All(), Connections: steps.Connections()})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range lint.Examine(p, lint.Options{}).Findings {
		if f.Rule != "host-conflict" {
			continue
		}
		if !strings.HasSuffix(f.Position, "plan.yaml:18:11") || !strings.Contains(f.Message, "plan.yaml:10:11)") ||
			!strings.Contains(f.Message, "shop/b (secret shop/s2) and web/a (secret web/s1, step one") {
			t.Errorf("%s: %s", f.Position, f.Message)
		}
		return
	}
	t.Error("no finding")
}
