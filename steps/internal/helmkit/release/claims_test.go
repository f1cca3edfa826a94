package release

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// An upgrade deletes what its chart does not make any more, but for what is to be kept.
func TestRemoved(t *testing.T) {
	r := &Release{Manifest: strings.Join([]string{
		fmt.Sprintf(configMap, "made", 1), fmt.Sprintf(configMap, "dropped", 1),
		"{apiVersion: v1, kind: Secret, metadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}}",
		"{apiVersion: v1, kind: Secret, metadata: {name: not-kept, annotations: {helm.sh/resource-policy: delete}}}",
	}, "\n---\n")}
	got, err := r.Removed(func(k manifest.Key) bool { return k == manifest.KeyOf(object(t, fmt.Sprintf(configMap, "made", 1))) })
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range got {
		names = append(names, o.GetName())
	}
	if d := cmp.Diff([]string{"dropped", "not-kept"}, names); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if _, err := (&Release{Manifest: "a: ["}).Removed(nil); err == nil {
		t.Error("a manifest that cannot be read: nothing is removed")
	}
}

// The fields of a release and the marks of its owner are claimed; those that are made
// anew each time as that, and those that say nothing not at all.
func TestClaimsOfARelease(t *testing.T) {
	o := object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {}}, data: {level: "1", token: x, empty: ""}}`)
	ref := kubekit.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "ns", Name: "a"}
	got := map[string]any{}
	for _, c := range Claims("app", "ns", []kubekit.Ref{ref}, []*unstructured.Unstructured{o}, map[manifest.Key]map[string]bool{manifest.KeyOf(o): {"data/token": true}}) {
		got[strings.TrimPrefix(c.Path, "ConfigMap/ns/a/")] = c.Want
	}
	for path, want := range map[string]any{"data/level": "1", "data/token": Random, "metadata/labels/app.kubernetes.io/managed-by": "Helm", "metadata/annotations/meta.helm.sh/release-name": "app"} {
		if got[path] != want {
			t.Errorf("%s is claimed as %v, want %v", path, got[path], want)
		}
	}
	if _, claimed := got["data/empty"]; claimed {
		t.Errorf("what is empty is claimed: %v", got)
	}
	if len(o.GetLabels()) != 0 {
		t.Errorf("the object was marked: %v", o.GetLabels())
	}
}
