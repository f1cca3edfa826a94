package kubetypes

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTypedProblems(t *testing.T) {
	got := TypedProblems("Internal error occurred: failed to create typed patch object (d/app; apps/v1, Kind=Deployment): errors:\n" +
		"  .spec.ports[containerPort=\"x\",protocol=\"TCP\"].containerPort: expected numeric (int or float), got string\n" +
		"  .metadata.annotations.a.b/c: expected string, got &value.valueUnstructured{Value:1}\n" +
		"  .spec.env[name=\"DB_PASSWORD\"].value: expected string, got &value.valueUnstructured{Value:4711}\n" +
		"  .spec.env: duplicate entries for key [name=\"A\"]\n" +
		"  .spec.bogus: field not declared in schema")
	want := []FieldProblem{
		{Field: `spec.ports[containerPort="x",protocol="TCP"].containerPort`, Message: "expected numeric (int or float), got string"},
		{Field: "metadata.annotations.a.b/c", Message: "expected string, got 1", Near: `"1"`},
		{Field: `spec.env[name="DB_PASSWORD"].value`, Message: "expected string, got a number or a truth value"},
		{Field: `spec.env[name="A"]`, Message: "is there twice"},
		{Field: "spec.bogus", Message: "field not declared in schema", Unknown: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
