package kubetypes_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/steps/internal/kubetypes"
)

func TestCanonical(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want map[string]any
	}{
		"quantities and defaults that are left out": {
			"apiVersion: v1\nkind: Pod\nspec: {hostNetwork: false, containers: [{name: c, image: i, resources: {limits: {cpu: 1000m, memory: 1024Mi}}, env: [{name: A, value: \"\"}]}]}",
			map[string]any{"spec/containers[c]/image": "i", "spec/containers[c]/name": "c", "spec/containers[c]/env[A]/name": "A",
				"spec/containers[c]/resources/limits/cpu": "1", "spec/containers[c]/resources/limits/memory": "1Gi"},
		},
		"zero that is no default": {
			"apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 0}", map[string]any{"spec/replicas": int64(0)},
		},
		"another kind": {
			"apiVersion: x.io/v1\nkind: Y\nspec: {cpu: 1000m, idle: false}", map[string]any{"spec/cpu": "1000m", "spec/idle": false},
		},
	} {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(c.text), &o.Object); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, kubetypes.Canonical(o)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
