package e2e

import (
	"bytes"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// upgrade brings Vault's chart to the next minor version on the one node of the
// lab. The pods run it in the end, Vault is unsealed, and values that others
// wrote where the charts leave keys empty are still there, also after a repair.
func (w *world) upgrade(t *testing.T) {
	annotated := []string{"Service/vault/vault", "Service/ingress-apisix/apisix-gateway", "Deployment/ingress-apisix/apisix-ingress-controller"}
	for _, path := range annotated {
		w.merge(path, `{"metadata":{"annotations":{"example.com/other":"x"}}}`)
	}
	must(t, "with annotations of others", w.check(), 0)
	w.merge("Service/ingress-apisix/apisix-gateway", `{"metadata":{"labels":{"app.kubernetes.io/name":"other"}}}`)
	w.edit(filepath.Join(w.work, planFile), func(plan []byte) []byte {
		return bytes.Replace(plan, []byte("version: 0.31.0"), []byte("version: 0.32.0"), 1)
	})
	must(t, "the upgrade", w.run(), 0)
	for path, want := range map[string]string{"Pod/vault/vault-0": "hashicorp/vault:1.21.2", "Deployment/vault/vault-agent-injector": "hashicorp/vault-k8s:1.7.2"} {
		o := w.get(path).Object
		containers, found, _ := unstructured.NestedSlice(o, "spec", "containers")
		if !found {
			containers, _, _ = unstructured.NestedSlice(o, "spec", "template", "spec", "containers")
		}
		if image := containers[0].(map[string]any)["image"]; image != want {
			t.Errorf("%s runs %v, want %s", path, image, want)
		}
	}
	w.look() // the new pod has another address
	if got := w.sealStatus(); got != "initialized true, sealed false, progress 0" {
		t.Errorf("vault is %s", got)
	}
	for _, path := range annotated {
		annotations := w.get(path).GetAnnotations()
		if annotations["example.com/other"] != "x" || annotations["meta.helm.sh/release-name"] == "" {
			t.Errorf("%s: annotations are %v", path, annotations)
		}
	}
	o := w.run()
	must(t, "the run after it", o, 0)
	if s := o.summary(); s.Edits != 0 {
		t.Errorf("the run after it made %d edits", s.Edits)
	}
}
