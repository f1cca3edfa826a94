package kubekit_test

import (
	"errors"
	"fmt"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Only an answer about permissions is a denial: admission answers with the same code.
func TestDenialOf(t *testing.T) {
	forbidden := func(message string) error {
		return fmt.Errorf("x: %w", apierrors.NewForbidden(schema.GroupResource{Group: "apps", Resource: "deployments"}, "a", errors.New(message)))
	}
	d, ok := kubekit.DenialOf(forbidden(`User "jane" cannot patch resource "deployments" in API group "apps" in the namespace "web"`))
	if want := "user jane may not patch deployments.apps in namespace web"; !ok || d.String() != want {
		t.Errorf("got %q, %t, want %q", d, ok, want)
	}
	d, ok = kubekit.DenialOf(forbidden(`User "jane" cannot list resource "nodes" in API group "" at the cluster scope`))
	if want := "user jane may not list nodes"; !ok || d.String() != want {
		t.Errorf("got %q, %t, want %q", d, ok, want)
	}
	for _, err := range []error{nil, errors.New("x"), forbidden("exceeded quota: pods"), forbidden(`admission webhook "w" denied the request: no`)} {
		if d, ok := kubekit.DenialOf(err); ok {
			t.Errorf("%v is taken for a denial: %v", err, d)
		}
	}
}
