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
	f := failureOf(o.live)
	if f == nil {
		t.Fatal("no failure")
	}
	end := f.at.Add(90 * time.Minute) // of the step
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
	if f := failureOf(certificate(2, 1, "False").live); f != nil {
		t.Errorf("a failure before the last change counts: %v", f)
	}
	if f := failureOf(certificate(1, 1, "True").live); f != nil {
		t.Errorf("an issuance that is on its way counts: %v", f)
	}
}

// Of a request that is pending, and of an issuer, the time of the next try is said
// if it is a matter of time.
func TestRetried(t *testing.T) {
	since := time.Now().Add(-time.Minute)
	object := func(status, message string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"conditions": []any{map[string]any{
			"type": "Ready", "status": status, "message": message, "lastTransitionTime": since.UTC().Format(time.RFC3339),
		}}}}}
	}
	for name, c := range map[string]struct {
		object *unstructured.Unstructured
		timed  bool
	}{
		"a login that fails":  {object("False", "Failed to initialise vault client for signing: Vault is sealed"), true},
		"an issuer not ready": {object: object("False", "Referenced issuer does not have a Ready status condition")},
		"what is ready":       {object: object("True", "Failed to initialise")},
		"what says nothing":   {object: &unstructured.Unstructured{Object: map[string]any{}}},
	} {
		i := issuance{text: "x"}
		i.retried(c.object, "Failed to initialise")
		if wait := time.Until(i.next); c.timed && (wait < time.Minute || wait > 2*time.Minute) || c.timed == i.next.IsZero() {
			t.Errorf("%s: tried again in %s", name, wait)
		}
		if want := "x; cert-manager tries again at the latest at " + stamp(i.next); c.timed && i.text != want || !c.timed && i.text != "x" {
			t.Errorf("%s: got %q", name, i.text)
		}
	}
}
