package e2e

import (
	"os"
	"path/filepath"
)

var inProduction production

// gallery has every plan of plans/, by its path there.
var gallery = map[string]galleryPlan{
	"existing-vault.yaml": existingVault(),
	"fleet/site.yaml":     {own: true, vars: []string{"domain=site.example"}, unproved: "nothing serves a certificate yet"},
	"gateway-api.yaml":    {before: (*world).clientsCA},
	"lab.yaml":            {by: "TestOneLab"},
	"production.yaml": {
		own: true, vars: []string{"domain=apps.example.com", `vaultValues=["one-node.yaml"]`},
		before: inProduction.before, awaited: inProduction.signed, lint: inProduction.offline,
	},
	"many-certificates.yaml": {
		vars:   []string{"ca=shared-ca.pem"},
		before: besideRoot("shared-ca.pem"), lint: besideAny("shared-ca.pem"),
	},
	"mounted-secret.yaml": {before: (*world).clientsCA},
	"mutual-tls.yaml":     {before: (*world).clientsCA, quick: true},
	"rotation-only.yaml": {
		vars: []string{
			"host=hello.example.local", "certificate=hello-cert", "namespace=ingress-apisix",
			"service=apisix-gateway", "ca=shared-ca.pem",
		},
		before: besideRoot("shared-ca.pem"), lint: besideAny("shared-ca.pem"),
	},
	"two-environments/plan.yaml": {
		vars:   []string{"env=production", "domain=shop.example.local", "ca=../shared-ca.pem", "rotate=true"},
		before: besideRoot("shared-ca.pem"), lint: besideAny("shared-ca.pem"), quick: true,
	},
}

// besideRoot writes the root certificate of the shared lab beside the plans.
func besideRoot(name string) func(*world) []string {
	return func(w *world) []string {
		w.beside(name, w.rootCertificate())
		return nil
	}
}

// besideAny writes a root certificate that signed nothing beside the plans.
func besideAny(name string) func(*world) []string {
	return func(w *world) []string {
		w.beside(name, w.newIssuer("Any Root").pem)
		return nil
	}
}

// clientsCA makes the Secret with the root in ca.crt and in no other key.
func (w *world) clientsCA() []string {
	w.applyAs("gallery", "Secret/ingress-apisix/clients-ca", fields{
		"apiVersion": "v1", "kind": "Secret", "metadata": fields{"name": "clients-ca", "namespace": "ingress-apisix"},
		"stringData": fields{"ca.crt": w.rootCertificate()},
	})
	return nil
}

// beside writes a file beside the plans.
func (w *world) beside(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.work, "plans", name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}
