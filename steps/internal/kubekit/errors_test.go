package kubekit

import (
	"errors"
	"strings"
	"testing"

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
