package applymanifest_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

const job = `
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  ttlSecondsAfterFinished: %d
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: busybox, command: [%q]}]
`

// run is one run of the step: converge in a session of its own, and return the
// paths of the edits that were made.
func (w *fixture) run(spec *applymanifest.Spec) (paths []string) {
	w.Helper()
	env := labtest.Env(w.T)
	for range 1000 {
		_, edits, err := spec.Inspect(w.Context(), env)
		if err != nil {
			w.Fatal(err)
		}
		if len(edits) == 0 {
			return paths
		}
		wrote := false
		for _, e := range edits {
			if e.Apply == nil {
				continue
			}
			wrote, paths = true, append(paths, e.Path)
			if err := e.Apply(engine.AllowWrites(w.Context())); err != nil {
				w.Fatalf("%s: %v", e.Path, err)
			}
		}
		if !wrote {
			if err := edits[0].Await(w.Context()); err != nil {
				w.Fatal(err)
			}
		}
	}
	w.Fatalf("does not converge: %v", paths)
	return nil
}

// A Job that the cluster removes when it has completed is made once, however soon
// it is removed, and made again when the manifest is another.
func TestJobsThatVanishRunOnce(t *testing.T) {
	for _, ttl := range []int{0, 2} {
		t.Run(fmt.Sprint("ttl ", ttl), func(t *testing.T) {
			w := newFixture(t)
			path := "Job/" + w.namespace + "/migrate"
			spec := w.step(fmt.Sprintf(job, ttl, "true"))
			if got := w.run(spec); !slices.Equal(got, []string{path, path + "/completion"}) {
				t.Errorf("made %v", got)
			}
			w.awaitGone("Job", "migrate")
			if got := w.run(spec); len(got) > 0 {
				t.Errorf("made again: %v", got)
			}
			out, _, err := spec.Inspect(t.Context(), w.env)
			if err != nil || out.UIDs[path] == "" {
				t.Errorf("outputs %v, err %v", out, err)
			}
			if got := w.run(w.step(fmt.Sprintf(job, ttl, "date"))); !slices.Equal(got, []string{path, path + "/completion"}) {
				t.Errorf("another manifest made %v", got)
			}
			w.awaitGone("Job", "migrate")
			configMaps := w.cluster.Client().CoreV1().ConfigMaps(w.namespace)
			if err := configMaps.Delete(engine.AllowWrites(t.Context()), "ztplan-completed", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			if got := w.run(spec); len(got) != 2 {
				t.Errorf("without the record made %v", got)
			}
		})
	}
}

// A Job whose end is not waited for counts as done when it was made.
func TestJobsThatVanishUnawaited(t *testing.T) {
	w := newFixture(t)
	spec := w.step(fmt.Sprintf(job, 0, "true"))
	spec.Wait.For = "none"
	w.run(spec)
	w.awaitGone("Job", "migrate")
	if got := w.run(spec); len(got) > 0 {
		t.Errorf("made again: %v", got)
	}
}

// A Job that failed did not complete, also when it is gone.
func TestJobsThatVanishAndFailed(t *testing.T) {
	w := newFixture(t)
	text := strings.Replace(fmt.Sprintf(job, 0, "true"), "    spec:\n", "    spec:\n      nodeSelector: {no: where}\n", 1)
	spec := w.step(strings.Replace(text, "  backoffLimit: 0\n", "  activeDeadlineSeconds: 1\n", 1))
	w.apply(spec)
	for {
		_, edits, err := spec.Inspect(t.Context(), w.env)
		if err != nil {
			if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "Job failed: ") {
				t.Errorf("got %v", err)
			}
			return
		}
		if len(edits) == 0 || edits[0].Apply != nil {
			t.Fatalf("got %v", edits)
		}
		if err := edits[0].Await(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A Pod that ran to its end and was collected is not made again; one that has no
// end is.
func TestPodsThatVanishRunOnce(t *testing.T) {
	w := newFixture(t)
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {restartPolicy: %s, terminationGracePeriodSeconds: 0, containers: [{name: main, image: busybox, command: [%q]}]}\n"
	for _, test := range []struct {
		name, policy, command string
		want                  int
	}{{"once", "Never", "true", 0}, {"always", "Always", "true", 1}} {
		spec := w.step(fmt.Sprintf(pod, test.name, test.policy, test.command))
		w.run(spec)
		if test.want == 0 {
			w.run(spec) // it may have been ready before it had completed
		}
		pods := w.cluster.Client().CoreV1().Pods(w.namespace)
		if err := pods.Delete(engine.AllowWrites(t.Context()), test.name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		w.awaitGone("Pod", test.name)
		if got := w.run(spec); len(got) != test.want {
			t.Errorf("%s: made %v", test.name, got)
		}
	}
}

// awaitGone waits until the cluster has removed an object.
func (w *fixture) awaitGone(kind, name string) {
	w.Helper()
	version := map[string]string{"Job": "batch/v1", "Pod": "v1"}
	for {
		st, err := w.cluster.Status(w.Context(), kubekit.Ref{APIVersion: version[kind], Kind: kind, Namespace: w.namespace, Name: name})
		if err != nil {
			w.Fatal(err)
		}
		if st[0].Object == nil {
			return
		}
		if err := w.cluster.AwaitChange(w.Context(), st[0].Watch...); err != nil {
			w.Fatal(err)
		}
	}
}
