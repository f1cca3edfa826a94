package applymanifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// brings notes that the step "operator" brings the kinds of crdText, as
// helmInstall does for the CustomResourceDefinitions of a chart.
func (w *fixture) brings(group string) {
	w.Helper()
	b, err := yaml.YAMLToJSON(fmt.Appendf(nil, crdText, group))
	if err != nil {
		w.Fatal(err)
	}
	crd := &unstructured.Unstructured{}
	if err := crd.UnmarshalJSON(b); err != nil {
		w.Fatal(err)
	}
	catalogue, err := kubekit.CatalogueOf(w.Context(), w.env)
	if err != nil {
		w.Fatal(err)
	}
	catalogue.AddCRDs("operator", "chart operator 1.0.0", crd)
}

func TestCustomResourceIsCheckedAgainstAComingCRD(t *testing.T) {
	w := newFixture(t)
	group := "test-" + labtest.Unique(t) + ".ztplan.dev"
	w.brings(group)
	manifest := func(kind, spec string) string {
		return fmt.Sprintf("apiVersion: %s/v1\nkind: %s\nmetadata: {name: first}\nspec:\n  %s\n", group, kind, spec)
	}
	edits := w.look(w.step(manifest("Widget", "color: red")))
	want := engine.Edit{
		Path: "Widget/" + w.namespace + "/first",
		Want: map[string]any{"spec/color": "red"}, // and no default of the server
		Note: "checked against the CRD of chart operator 1.0.0; the server's own look is known after operator",
	}
	if len(edits) != 1 || edits[0].Apply == nil {
		t.Fatalf("got %+v", edits)
	}
	if d := cmp.Diff([]any{want.Path, want.Have, want.Want, want.Note}, []any{edits[0].Path, edits[0].Have, edits[0].Want, edits[0].Note}); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	wantPermanent(t, w.fails(w.step(manifest("Widget", "colour: red"))),
		"(m.yaml:5:3): unknown field spec.colour (by the CRD of chart operator 1.0.0)", "did you mean color?")
	wantPermanent(t, w.fails(w.step(manifest("Widget", "size: large"))), "(m.yaml:5:3): spec.size: must be of type integer", "correct the manifest")
	wantPermanent(t, w.fails(w.step(manifest("Widgte", "size: 1"))), "chart operator 1.0.0 has no kind Widgte in "+group, "did you mean Widget?")
	wantPermanent(t, w.fails(w.step(strings.Replace(manifest("Widget", "size: 1"), "/v1", "/v2", 1))), "(m.yaml:1:1): apiVersion: chart operator 1.0.0 has kind Widget in "+group+"/v1", "")
}

// The same holds for a CustomResourceDefinition of the step itself.
func TestCustomResourceIsCheckedAgainstTheStepsCRD(t *testing.T) {
	w := newFixture(t)
	group := "test-" + labtest.Unique(t) + ".ztplan.dev"
	text := fmt.Sprintf(crdText, group) + "---\napiVersion: %s/v1\nkind: Widget\nmetadata: {name: first}\nspec: {%s}\n"
	edits := w.look(w.step(fmt.Sprintf(text, group, "color: red")))
	if len(edits) != 2 || !strings.HasPrefix(edits[1].Note, "checked against the CRD of this step") {
		t.Errorf("got %+v", edits)
	}
	wantPermanent(t, w.fails(w.step(fmt.Sprintf(text, group, "colour: red"))), "unknown field spec.colour", "did you mean color?")
}

func TestNamespaceThatAnotherStepMakes(t *testing.T) {
	w := newFixture(t)
	catalogue, err := kubekit.CatalogueOf(t.Context(), w.env)
	if err != nil {
		t.Fatal(err)
	}
	absent := w.namespace + "-absent"
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: " + absent + "}\ndata: {x: b}\n"
	if e := w.look(w.step(text))[0]; e.Note != "namespace "+absent+" does not exist yet" {
		t.Errorf("nobody makes it: note %q", e.Note)
	}
	catalogue.AddNamespace("operator", absent)
	e := w.look(w.step(text))[0]
	if want := "namespace " + absent + " comes with step operator; the server's own look is known after operator"; e.Note != want || e.Apply == nil {
		t.Errorf("note %q, want %q", e.Note, want)
	}
}
