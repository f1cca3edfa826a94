package helminstall_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

// stays is a chart whose pods stay as they are until they are deleted.
func stays() charttest.Chart {
	const workload = `
apiVersion: apps/v1
kind: %s
metadata: {name: %s}
spec:
  %s
  updateStrategy: {type: OnDelete}
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: "example.com/inert:{{ .Values.tag }}"}]
---`
	return charttest.Chart{Name: "stays", Version: "1.0.0", Values: "tag: 1\n", Files: map[string]string{
		"templates/all.yaml": fmt.Sprintf(workload, "StatefulSet", "set", "replicas: 2\n  podManagementPolicy: Parallel") +
			fmt.Sprintf(workload, "DaemonSet", "daemon", ""),
	}}
}

// An upgrade that pods do not get is a warning, and on request made to reach
// them: one after another, the last of a StatefulSet first.
func TestPodsThatAnUpgradeDoesNotReach(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, stays()), "stays", "1.0.0")
	w.converge(s)
	s.Values = map[string]any{"tag": "2"}
	if _, applied := w.converge(s); len(applied) != 1 {
		t.Errorf("upgraded by %v", applied)
	}
	said := w.warnings.String()
	for _, pod := range []string{"set-0", "set-1"} {
		want := fmt.Sprintf("Pod/%s/%s still runs what it ran before StatefulSet/%[1]s/set was changed (image example.com/inert:1, not example.com/inert:2), "+
			"whose update strategy is OnDelete: delete it, or set onDelete: restart", w.namespace, pod)
		if strings.Count(said, want) != 1 {
			t.Errorf("warnings:\n%s\nwant once:\n%s", said, want)
		}
	}
	if strings.Count(said, "before DaemonSet/"+w.namespace+"/daemon was changed") != 1 {
		t.Errorf("warnings say nothing of the DaemonSet:\n%s", said)
	}

	s.OnDelete = "restart"
	s.Values["tag"] = "3"
	want := map[string]any{"StatefulSet/" + w.namespace + "/set": "its pods, one after another", "DaemonSet/" + w.namespace + "/daemon": "its pods, one after another"}
	if d := cmp.Diff(want, only(t, w.edits(s)).Want.(map[string]any)["restarts"]); d != "" {
		t.Errorf("what the next upgrade restarts (-want +got):\n%s", d)
	}
	s.Values["tag"] = "2"

	pods, err := w.cluster.Client().CoreV1().Pods(w.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=daemon"})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("pods %v, err %v", pods, err)
	}
	edits := w.edits(s)
	if len(edits) != 3 {
		t.Fatalf("got %d edits, want one for each pod: %v", len(edits), paths(edits))
	}
	e := edits[0]
	if d := cmp.Diff([]any{"example.com/inert:1", "example.com/inert:2"}, []any{
		e.Have.(map[string]any)["containers[main]/image"], e.Want.(map[string]any)["containers[main]/image"],
	}); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	_, applied := w.converge(s)
	order := []string{"Pod/" + w.namespace + "/" + pods.Items[0].Name, "Pod/" + w.namespace + "/set-1", "Pod/" + w.namespace + "/set-0"}
	slices.Sort(order[1:])
	slices.Reverse(order[1:])
	got := slices.Clone(applied)
	if i := slices.Index(got, order[0]); i > 0 { // the manifest's order is Helm's
		got = append([]string{got[i]}, slices.Delete(got, i, i+1)...)
	}
	if d := cmp.Diff(order, got); d != "" {
		t.Errorf("deleted (-want +got):\n%s", d)
	}
	pods, err = w.cluster.Client().CoreV1().Pods(w.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if p.DeletionTimestamp == nil && p.Spec.Containers[0].Image != "example.com/inert:2" {
			t.Errorf("pod %s runs %s", p.Name, p.Spec.Containers[0].Image)
		}
	}
	w.again()
	if edits := w.edits(s); len(edits) > 0 {
		t.Errorf("then differs: %v", paths(edits))
	}
}

// shy is a chart like that of Vault's injector: each pod wants a node for itself.
func shy() charttest.Chart {
	return charttest.Chart{Name: "shy", Version: "1.0.0", Values: "tag: 1\nstrategy: RollingUpdate\n", Files: map[string]string{"templates/all.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shy}
spec:
  replicas: 1
  strategy: {type: "{{ .Values.strategy }}"}
  selector: {matchLabels: {app: shy}}
  template:
    metadata: {labels: {app: shy}}
    spec:
      terminationGracePeriodSeconds: 0
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: shy}}}
      containers: [{name: main, image: "example.com/inert:{{ .Values.tag }}"}]
`}}
}

// An upgrade whose new pod has no place fails with the cause as soon as the
// scheduler reports it, and the remedy in the hint works.
func TestUpgradeThatCannotEnd(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, shy()), "shy", "1.0.0")
	w.converge(s)
	s.Values = map[string]any{"tag": "2"}
	if err := w.apply(only(t, w.edits(s))); err != nil {
		t.Fatal(err)
	}
	for {
		_, edits, err := w.look(s)
		if err != nil {
			permanent(t, err, "Deployment/"+w.namespace+"/shy: the update cannot end: pod shy-", "must not be on a node with pod shy-",
				"anti-affinity", "Recreate", "maxUnavailable: 1")
			break
		}
		if e := only(t, edits); e.Apply != nil || e.Await(t.Context()) != nil {
			t.Fatalf("got %+v", e)
		}
	}
	s.Values["strategy"] = "Recreate"
	if _, applied := w.converge(s); len(applied) != 1 {
		t.Errorf("applied %v", applied)
	}
}
