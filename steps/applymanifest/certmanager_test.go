package applymanifest

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// A failed issuance ends the step at once if cert-manager tries again only when its
// time is over, and is waited for otherwise.
func TestFailedIssuance(t *testing.T) {
	certificate := func(generation, observed int64, issuing string) *object {
		return &object{
			ref:      kubekit.Ref{Kind: "Certificate", Namespace: "web", Name: "hello"},
			manifest: manifest{source: source{file: "c.yaml", line: 3, column: 1}},
			live: &unstructured.Unstructured{Object: map[string]any{
				"metadata": map[string]any{"generation": generation},
				"status": map[string]any{
					"lastFailureTime":        "2026-01-18T16:00:00Z",
					"failedIssuanceAttempts": int64(2),
					"conditions": []any{map[string]any{
						"type": "Issuing", "status": issuing, "reason": "Failed",
						"message": "Vault failed to sign certificate:\n\n403", "observedGeneration": observed,
					}},
				},
			}},
		}
	}
	o := certificate(1, 1, "False")
	f := certmanager.FailureOf(o.live)
	if f == nil {
		t.Fatal("no failure")
	}
	end := f.At.Add(90 * time.Minute) // of the step
	err := o.givenUp(*f, certmanager.DefaultBackoff(), end)
	if want := "Certificate/web/hello (c.yaml:3:1): issuance failed: Vault failed to sign certificate: 403"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if hint := engine.HintOf(err); !strings.Contains(hint, "cmctl renew hello -n web") || !strings.Contains(hint, "2026-01-18T18:00:00Z") {
		t.Errorf("got hint %s", hint)
	}
	if err := o.givenUp(*f, certmanager.Backoff{First: time.Minute, Longest: time.Hour}, end); err != nil {
		t.Errorf("cert-manager tries again in time: %v", err)
	}
	if f := certmanager.FailureOf(certificate(2, 1, "False").live); f != nil {
		t.Errorf("a failure before the last change counts: %v", f)
	}
	if f := certmanager.FailureOf(certificate(1, 1, "True").live); f != nil {
		t.Errorf("an issuance that is on its way counts: %v", f)
	}
}
