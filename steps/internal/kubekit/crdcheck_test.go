package kubekit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubetypes"
)

const gadgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {kind: Gadget, plural: gadgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [size, mode]
            properties:
              size: {type: integer, minimum: 1}
              mode: {type: string, default: slow, enum: [slow, fast]}
              port: {x-kubernetes-int-or-string: true}
              note: {type: string, nullable: true}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              parts: {type: array, items: {type: object, required: [name], properties: {name: {type: string}}}}
              tags: {type: object, additionalProperties: {type: string}}
  - name: v0
    served: false
    storage: false
`

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	b, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(b); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestCheckAgainstAComingCRD(t *testing.T) {
	env := &engine.Env{Session: &engine.Session{}}
	catalogue, err := kubekit.CatalogueOf(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	catalogue.AddCRDs("b", "chart b 1", object(t, gadgets))
	catalogue.AddCRDs("a", "chart a 1", object(t, gadgets))
	catalogue.AddCRDs("c", "chart c 1", object(t, gadgets))
	coming, ok := catalogue.Kind(schema.GroupKind{Group: "example.com", Kind: "Gadget"})
	if !ok || coming.Step != "a" || coming.Namespaced() {
		t.Fatalf("got %+v, %v", coming, ok)
	}
	for name, test := range map[string]struct {
		text string
		want []kubetypes.FieldProblem
	}{
		"good": {"apiVersion: example.com/v1\nspec: {size: 1, port: http, note: null, free: {a: {b: 1}}, tags: {x: why}, parts: [{name: one}]}", nil},
		"unknown": {"apiVersion: example.com/v1\nspec: {size: 1, sise: 2, parts: [{name: one, nam: x}]}", []kubetypes.FieldProblem{
			{Field: "spec.parts[0].nam", Message: "unknown field", Unknown: true, Near: "name"}, {Field: "spec.sise", Message: "unknown field", Unknown: true, Near: "size"}}},
		"missing":  {"apiVersion: example.com/v1\nspec: {}", []kubetypes.FieldProblem{{Field: "spec.size", Message: "is required"}}},
		"in lists": {"apiVersion: example.com/v1\nspec: {size: 1, parts: [{name: one}, {}]}", []kubetypes.FieldProblem{{Field: "spec.parts[1].name", Message: "is required"}}},
		"type": {"apiVersion: example.com/v1\nspec: {size: large}", []kubetypes.FieldProblem{
			{Field: "spec.size", Message: `must be of type integer: "string"`}}},
		"enum":    {"apiVersion: example.com/v1\nspec: {size: 1, mode: later}", []kubetypes.FieldProblem{{Field: "spec.mode", Message: "should be one of [slow fast]"}}},
		"limit":   {"apiVersion: example.com/v1\nspec: {size: 0}", []kubetypes.FieldProblem{{Field: "spec.size", Message: "should be greater than or equal to 1"}}},
		"version": {"apiVersion: example.com/v0\nspec: {}", []kubetypes.FieldProblem{{Field: "apiVersion", Message: "chart a 1 has kind Gadget in example.com/v1, not in example.com/v0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := coming.Check(object(t, test.text+"\nkind: Gadget\nmetadata: {name: g}"))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}
