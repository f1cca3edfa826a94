package helminstall_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

// Work of a release that has run to its end and is gone is not done again.
func TestWorkThatIsGoneIsNotMissed(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, charttest.Chart{Name: "work", Version: "1.0.0", Files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: Pod
metadata: {name: once}
spec: {restartPolicy: Never, containers: [{name: main, image: example.com/inert:1}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  ttlSecondsAfterFinished: 600
  template: {spec: {restartPolicy: Never, containers: [{name: main, image: example.com/inert:1}]}}
`}}), "work", "1.0.0")
	w.converge(s)
	ctx, now, background := engine.AllowWrites(t.Context()), int64(0), metav1.DeletePropagationBackground
	if err := w.cluster.Client().CoreV1().Pods(w.namespace).Delete(ctx, "once", metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	if err := w.cluster.Client().BatchV1().Jobs(w.namespace).Delete(ctx, "once", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Fatal(err)
	}
	w.again()
	if edits := w.edits(s); len(edits) > 0 {
		t.Errorf("missed: %v", paths(edits))
	}
}
