package helminstall_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/internal/labtest/openapitest"
)

// Whatever the API server accepts from a chart shows no difference afterwards.
func TestRoundTrip(t *testing.T) {
	w := newFixture(t)
	const seed = 1001 // not those of applyManifest: some kinds have no namespaces
	var docs []string
	for _, k := range openapitest.Kinds(t, w.cluster) {
		object := k.Object(t, w.cluster, w.namespace, seed)
		if object == nil {
			continue
		}
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		namespace := ""
		if k.Namespaced {
			namespace = w.namespace
		}
		resource, err := w.cluster.Resource(k.GroupVersionKind, namespace)
		if err != nil {
			t.Fatal(err)
		}
		var o unstructured.Unstructured
		if err := o.UnmarshalJSON(text); err != nil {
			t.Fatal(err)
		}
		ctx := engine.AllowWrites(t.Context())
		if _, err := resource.Create(ctx, &o, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
			t.Logf("%s: only by server-side apply: %v", k, err)
			continue
		}
		t.Cleanup(func() {
			_ = resource.Delete(engine.AllowWrites(context.Background()), o.GetName(), metav1.DeleteOptions{})
		})
		docs = append(docs, strings.ReplaceAll(string(text), "{{", "{ {"))
	}
	if len(docs) < 25 {
		t.Errorf("objects of %d kinds only: the generator has lost its way", len(docs))
	}
	s := w.spec(charttest.Serve(t, charttest.Chart{Name: "all", Version: "1.0.0", Files: map[string]string{
		"templates/all.yaml": strings.Join(docs, "\n---\n"),
	}}), "all", "1.0.0")
	s.Wait = false
	if err := w.apply(only(t, w.edits(s))); err != nil {
		t.Fatal(err)
	}
	w.again()
	for _, e := range w.edits(s) {
		t.Errorf("seed %d: %s differs:\n%s", seed, e.Path, leafText(e))
	}
}
