package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// A role refuses a Certificate's first issuance and is then mended: the step shows
// why it waits and when cert-manager tries again, outlasts that pause, and passes.
func TestBackoffIsWaitedFor(t *testing.T) {
	if !full() {
		t.Skip("it waits for a minute: make faults")
	}
	parallel(t)
	w := newWorld(t)
	must(t, "the plan of the lab", w.run(), 0)
	w.look() // Vault has an address now
	vault := w.vault()
	const late = "plans/late.yaml"
	if err := os.WriteFile(filepath.Join(w.work, late), []byte(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: late}
steps:
- id: late
  uses: applyManifest
  with:
    namespace: default
    manifests:
    - apiVersion: cert-manager.io/v1
      kind: Certificate
      metadata: {name: late}
      spec:
        secretName: late-tls
        duration: 1h
        renewBefore: 30m
        dnsNames: [late.elsewhere.example]
        privateKey: {rotationPolicy: Always}
        issuerRef: {kind: ClusterIssuer, name: vault-issuer}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	failed := regexp.MustCompile(`late\.elsewhere\.example.* not allowed.*; cert-manager tries again at (\S+Z)`)
	var next time.Time
	w.limit = 5 * time.Minute // the pause is a minute
	o := w.do(func(e engine.Event, _ *os.Process) {
		m := failed.FindStringSubmatch(e.Message)
		if m == nil || !next.IsZero() {
			return
		}
		var err error
		if next, err = time.Parse(time.RFC3339, m[1]); err != nil {
			t.Error(err)
		}
		if _, err := vault.Logical().JSONMergePatch(t.Context(), "pki_int/roles/example-dot-local", map[string]any{"allow_any_name": true}); err != nil {
			t.Error(err)
		}
	}, "run", late)
	must(t, "a role that refuses, then is mended", o, 0)
	if next.IsZero() {
		t.Fatalf("the run does not say why it waits and until when:\n%s", o.stdout)
	}
	issued, err := time.Parse(time.RFC3339, w.get("Certificate/default/late").Object["status"].(map[string]any)["notBefore"].(string))
	if err != nil {
		t.Fatal(err)
	}
	// Vault dates certificates back by half a minute.
	if made := issued.Add(30 * time.Second); made.Before(next.Add(-5*time.Second)) || made.After(next.Add(time.Minute)) {
		t.Errorf("cert-manager was to try again at %s, and did at %s", next, made)
	}
}
