package applymanifest

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// conceal registers the secrets of an object with the run.
func conceal(env *engine.Env, obj *unstructured.Unstructured) {
	env.Conceal(kubefields.Findable(kubefields.SecretValues(obj))...)
}
