package certmanager

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

func TestPendingIssuance(t *testing.T) {
	certificate := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
		"metadata": map[string]any{"name": "hello", "namespace": "web"}, "status": map[string]any{"revision": int64(4)},
	}}
	if got, want := requestOf(certificate).Name, "hello-5"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for status, want := range map[string]string{
		"False": "; request hello-5: Pending: Vault said: * Vault is sealed", "True": "", "Unknown": "",
	} {
		request := &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": "hello-5"},
			"status": map[string]any{"conditions": []any{map[string]any{
				"type": "Ready", "status": status, "reason": "Pending", "message": "Vault said:\n\n* Vault is sealed\n",
			}}},
		}}
		if got := pending("request", request); got != want {
			t.Errorf("%s: got %q, want %q", status, got, want)
		}
	}
	if got := pending("request", &unstructured.Unstructured{Object: map[string]any{}}); got != "" {
		t.Errorf("without a condition: %q", got)
	}
}

// The message of a pending request, and of an issuer, has the time of the next try
// if only time is needed.
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
		i := Issuance{Text: "x"}
		i.retried(c.object, "Failed to initialise")
		if wait := time.Until(i.Next); c.timed && (wait < time.Minute || wait > 2*time.Minute) || c.timed == i.Next.IsZero() {
			t.Errorf("%s: tried again in %s", name, wait)
		}
		if want := "x; cert-manager tries again at the latest at " + certs.Stamp(i.Next); c.timed && i.Text != want || !c.timed && i.Text != "x" {
			t.Errorf("%s: got %q", name, i.Text)
		}
	}
}

// The issuer of a Certificate is read for its reason, if it is one of cert-manager's own.
func TestIssuerRef(t *testing.T) {
	for _, c := range []struct {
		ref  map[string]any
		want string
	}{
		{map[string]any{"name": "ca"}, "Issuer web/ca"},
		{map[string]any{"name": "ca", "kind": "Issuer", "group": "cert-manager.io"}, "Issuer web/ca"},
		{map[string]any{"name": "ca", "kind": "ClusterIssuer"}, "ClusterIssuer /ca"},
		{map[string]any{"kind": "ClusterIssuer"}, ""},
		{map[string]any{"name": "ca", "kind": "VaultIssuer"}, ""},
		{map[string]any{"name": "ca", "kind": "ClusterIssuer", "group": "awspca.cert-manager.io"}, ""},
		{nil, ""},
	} {
		got, ok := IssuerRef(&unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"name": "hello", "namespace": "web"}, "spec": map[string]any{"issuerRef": c.ref},
		}})
		if text := got.Kind + " " + got.Namespace + "/" + got.Name; ok != (c.want != "") || ok && text != c.want {
			t.Errorf("%v: got %s, %v, want %s", c.ref, text, ok, c.want)
		}
	}
}

func TestUnreadyIssuer(t *testing.T) {
	for status, want := range map[string]string{
		"False": "; ClusterIssuer vault-issuer: VaultError: Failed to initialize Vault client: * Vault is sealed", "True": "",
	} {
		issuer := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "vault-issuer"}, "status": map[string]any{"conditions": []any{map[string]any{
			"type": "Ready", "status": status, "reason": "VaultError", "message": "Failed to initialize Vault client:\n\n* Vault is sealed",
		}}}}}
		if got := pending("ClusterIssuer", issuer); got != want {
			t.Errorf("%s: got %q, want %q", status, got, want)
		}
	}
	if got := pending("ClusterIssuer", &unstructured.Unstructured{Object: map[string]any{}}); got != "" {
		t.Errorf("without a condition: %q", got)
	}
}
