package helminstall_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

// hollow is a chart with the empty keys that charts have where a value is not
// given.
func hollow(version string) charttest.Chart {
	return charttest.Chart{Name: "hollow", Version: version, Values: "args: a\n", Files: map[string]string{"templates/all.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
  annotations:
spec:
  replicas: 1
  selector: {matchLabels: {app: app}}
  template:
    metadata:
      labels: {app: app}
      annotations:
    spec:
      tolerations: []
      containers:
      - name: main
        image: example.com/inert:1
        args: ["{{ .Values.args }}"]
        env:
---
apiVersion: v1
kind: Service
metadata:
  name: app
  annotations:
  labels: {}
spec:
  selector: {app: app}
  ports: [{port: 80, targetPort: 8080}]
`}}
}

// Keys that a chart leaves empty are left to others: by a look, by the repair
// of another field, by an upgrade and by its dry run.
func TestEmptyKeysTakeNothingAway(t *testing.T) {
	w := newFixture(t)
	repo := charttest.Serve(t, hollow("1.0.0"), hollow("1.1.0"))
	s := w.spec(repo, "hollow", "1.0.0")
	s.Wait = false
	for _, e := range w.edits(s) {
		if shown := leafText(e); strings.Contains(shown, "null") || strings.Contains(shown, "<nil>") {
			t.Errorf("an install shows what is empty: %s", shown)
		}
	}
	w.converge(s)
	w.again()
	const others = `{"metadata":{"annotations":{"example.com/other":"x"}}}`
	w.patch("services", "app", "external-dns", others)
	w.patch("deployments", "app", "kubectl-rollout", `{"metadata":{"annotations":{"example.com/other":"x"}},"spec":{"template":{
		"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":"now"}},
		"spec":{"tolerations":[{"key":"a","operator":"Exists"}],"containers":[{"name":"main","env":[{"name":"LEVEL","value":"9"}]}]}}}}`)
	if edits := w.edits(s); len(edits) != 0 {
		t.Fatalf("what others added differs: %+v", edits)
	}
	survive := func(when string) {
		t.Helper()
		d, err := w.cluster.Client().AppsV1().Deployments(w.namespace).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		svc, err := w.cluster.Client().CoreV1().Services(w.namespace).Get(t.Context(), "app", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		spec := d.Spec.Template.Spec
		if d.Annotations["example.com/other"] != "x" || svc.Annotations["example.com/other"] != "x" ||
			d.Annotations["meta.helm.sh/release-name"] != "hollow" || svc.Annotations["meta.helm.sh/release-name"] != "hollow" ||
			d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] != "now" ||
			len(spec.Tolerations) != 1 || len(spec.Containers[0].Env) != 1 {
			t.Errorf("%s: lost: Deployment %v, template %v, %v, %v, Service %v", when,
				d.Annotations, d.Spec.Template.Annotations, spec.Tolerations, spec.Containers[0].Env, svc.Annotations)
		}
	}
	w.patch("deployments", "app", "kubectl-edit", `{"spec":{"template":{"spec":{"containers":[{"name":"main","args":["z"]}]}}}}`)
	w.patch("services", "app", "kubectl-edit", `{"spec":{"ports":[{"port":80,"targetPort":8081}]}}`)
	if _, applied := w.converge(s); len(applied) != 2 {
		t.Errorf("repaired %v", applied)
	}
	survive("after a repair")

	s.Version, s.Values = "1.1.0", map[string]any{"args": "b"}
	if shown := leafText(only(t, w.edits(s))); strings.Contains(shown, "restartedAt") || strings.Contains(shown, "example.com/other") || strings.Contains(shown, "tolerations") {
		t.Errorf("the upgrade shows what it does not touch: %s", shown)
	}
	if _, applied := w.converge(s); len(applied) != 1 {
		t.Errorf("upgraded with %v", applied)
	}
	survive("after an upgrade")
}

func leafText(e engine.Edit) string {
	return strings.Join(diffLines(e), "\n")
}
