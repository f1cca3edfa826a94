package helminstall_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

// Helm goes by the annotation of the object in the cluster when it keeps what its chart
// does not make any more, and so does the dry run.
func TestWhatAnUpgradeKeeps(t *testing.T) {
	const keep = "helm.sh/resource-policy: keep"
	cases := map[string]struct {
		chart string // its annotations
		patch string // of the annotation in the cluster afterwards
		kept  bool
	}{
		"neither":          {"", "", false},
		"both":             {keep, "", true},
		"the-cluster-only": {"", `"keep"`, true},
		"the-chart-only":   {keep, "null", false},
		"another-policy":   {keep, `"delete"`, false},
	}
	before, after := settings("1.0.0"), settings("2.0.0")
	for name, c := range cases {
		before.Files["templates/"+name+".yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", annotations: {" + c.chart + "}}\n"
	}
	w := newFixture(t)
	repo := charttest.Serve(t, before, after)
	w.converge(w.spec(repo, "settings", "1.0.0"))
	for name, c := range cases {
		if c.patch != "" {
			w.patch("configmaps", name, "kubectl-edit", `{"metadata":{"annotations":{"helm.sh/resource-policy":`+c.patch+`}}}`)
		}
	}
	w.again()
	s := w.spec(repo, "settings", "2.0.0")
	have, _ := only(t, w.edits(s)).Have.(map[string]any)["objects"].(map[string]any)
	w.converge(s)
	for name, c := range cases {
		if _, removed := have["ConfigMap/"+w.namespace+"/"+name]; removed == c.kept {
			t.Errorf("%s: the dry run shows that it is removed: %v", name, removed)
		}
		_, err := w.cluster.Client().CoreV1().ConfigMaps(w.namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		if there := err == nil; there != c.kept {
			t.Errorf("%s: it is there: %v, want %v", name, there, c.kept)
		}
	}
}

// An object that the plan takes over loses nothing that others put there, and its dry run
// shows what changes.
func TestTakenOver(t *testing.T) {
	w := newFixture(t)
	w.create("{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, labels: {team: x}}, data: {color: theirs, more: x}}")
	s := w.spec(charttest.Serve(t, settings("1.0.0")), "settings", "1.0.0")
	s.TakeOwnership = true
	have, _ := only(t, w.edits(s)).Have.(map[string]any)
	if d := cmp.Diff(map[string]any{"ConfigMap/" + w.namespace + "/settings": map[string]any{"data/color": "theirs"}}, have["objects"]); d != "" {
		t.Errorf("the dry run (-want +got):\n%s", d)
	}
	w.converge(s)
	o := w.configMap("settings")
	if o.Data["color"] != "blue" || o.Data["more"] != "x" || o.Labels["team"] != "x" || o.Annotations["meta.helm.sh/release-name"] != "settings" {
		t.Errorf("it was adopted as %v", o)
	}
}

// Of the pods that an upgrade did not reach the active server is the last to be deleted;
// one that is another already is not deleted again.
func TestActivePodIsTheLast(t *testing.T) {
	w := newFixture(t)
	c := stays()
	c.Files["templates/all.yaml"], _, _ = strings.Cut(c.Files["templates/all.yaml"], "\n---")
	s := w.spec(charttest.Serve(t, c), "stays", "1.0.0")
	w.converge(s)
	w.patch("pods", "set-1", "vault", `{"metadata":{"labels":{"vault-active":"true"}}}`)
	s.Values, s.OnDelete = map[string]any{"tag": "2"}, "restart"
	w.again()
	if err := w.apply(only(t, w.edits(s))); err != nil {
		t.Fatal(err)
	}
	edits := w.awaitEdits(s, func(edits []engine.Edit) bool { return len(edits) == 2 && edits[0].Apply != nil })
	if d := cmp.Diff([]string{"Pod/" + w.namespace + "/set-0", "Pod/" + w.namespace + "/set-1"}, paths(edits)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	_, applied := w.converge(s)
	if !slices.Equal(applied, paths(edits)) {
		t.Errorf("deleted %v", applied)
	}
	pods := func() (uids []string) {
		list, err := w.cluster.Client().CoreV1().Pods(w.namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list.Items {
			uids = append(uids, string(p.UID))
		}
		return uids
	}
	now := pods()
	for _, e := range edits {
		if err := w.apply(e); err != nil {
			t.Errorf("%s, which is another already: %v", e.Path, err)
		}
	}
	if d := cmp.Diff(now, pods()); d != "" {
		t.Errorf("deleted once more (-want +got):\n%s", d)
	}
}
