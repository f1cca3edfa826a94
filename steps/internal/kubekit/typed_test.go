package kubekit

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ztplan/ztplan/engine"
)

// A 500 about the object itself is not an overloaded server, for everything that
// writes to the cluster.
func TestClassifyAnswersThatWillNotChange(t *testing.T) {
	for message, permanent := range map[string]bool{
		"failed to create typed patch object (d/app; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), got string": true,
		`strict decoding error: unknown field "spec.x"`:                              true,
		"unable to decode \"m.yaml\": json: cannot unmarshal number":                 true,
		"etcdserver: leader changed":                                                 false,
		`admission webhook "x" denied the request: panic: nil map [recovered]`:       false,
		`failed calling webhook "x": Post "https://x": dial tcp: connection refused`: false,
	} {
		err := Classify(apierrors.NewInternalError(errors.New(message)))
		if got := errors.Is(err, engine.ErrPermanent); got != permanent {
			t.Errorf("%s: permanent %v, want %v", message, got, permanent)
		}
		hint := engine.HintOf(err)
		if overloaded := strings.Contains(hint, "overloaded"); overloaded && (permanent || strings.Contains(message, "panic")) || hint == "" {
			t.Errorf("%s: hint %q", message, hint)
		}
	}
}

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
