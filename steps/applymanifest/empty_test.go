package applymanifest_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
)

const hollow = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  annotations:
  labels: {}
spec:
  replicas: 0
  selector: {matchLabels: {app: app}}
  template:
    metadata:
      labels: {app: app}
      annotations:
    spec:
      containers:
      - name: main
        image: example.com/inert:1
        args: [a]
        env:
`

// Keys that a manifest leaves empty are left to others.
func TestEmptyKeysTakeNothingAway(t *testing.T) {
	w := newFixture(t)
	spec := w.step(hollow)
	spec.Wait.For = "none"
	for path, v := range w.look(spec)[0].Want.(map[string]any) {
		if v == nil {
			t.Errorf("what is to be made shows %s, which is empty", path)
		}
	}
	w.converge(spec)
	deployments := w.cluster.Client().AppsV1().Deployments(w.namespace)
	patch := func(text string) {
		t.Helper()
		_, err := deployments.Patch(engine.AllowWrites(t.Context()), "app", types.StrategicMergePatchType, []byte(text), metav1.PatchOptions{FieldManager: "kubectl"})
		if err != nil {
			t.Fatal(err)
		}
	}
	patch(`{"metadata":{"annotations":{"a":"b"},"labels":{"a":"b"}},"spec":{"template":{"metadata":{"annotations":{"a":"b"}},` +
		`"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"b"}]}]}}}}`)
	if edits := w.look(spec); len(edits) > 0 {
		t.Errorf("what others added differs: %+v", edits)
	}
	patch(`{"spec":{"template":{"spec":{"containers":[{"name":"main","args":["z"]}]}}}}`)
	spec.Force = true
	w.converge(spec)
	d, err := deployments.Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pod := d.Spec.Template; d.Annotations["a"] != "b" || d.Labels["a"] != "b" || pod.Annotations["a"] != "b" || len(pod.Spec.Containers[0].Env) != 1 || pod.Spec.Containers[0].Args[0] != "a" {
		t.Errorf("lost: %v, %v, %v, %v", d.Annotations, d.Labels, pod.Annotations, pod.Spec.Containers[0])
	}
}
