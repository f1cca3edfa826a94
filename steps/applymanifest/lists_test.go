package applymanifest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

func TestListsAreUnfolded(t *testing.T) {
	spec := withFile(t, `apiVersion: rbac.authorization.k8s.io/v1
kind: RoleList
metadata: {resourceVersion: "1"}
items:
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata: {name: a}
- metadata: {name: b} # as the API server answers
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMapList
  items:
  - &c {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
- apiVersion: v1
  kind: SecretList
  items: []
- {apiVersion: v1, kind: ServiceList, items: null}
---
apiVersion: example.com/v1
kind: AllowList
metadata: {name: d}
spec: {items: [x]}
`)
	type m = map[string]any
	spec.Manifests = []any{
		m{"apiVersion": "v1", "kind": "ServiceAccountList", "items": []any{m{"metadata": m{"name": "e"}}}},
	}
	found, problems := spec.read()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.obj.GroupVersionKind().String()+" "+f.obj.GetName()+" "+f.source.String())
	}
	want := []string{
		"rbac.authorization.k8s.io/v1, Kind=Role a m.yaml:5:3",
		"rbac.authorization.k8s.io/v1, Kind=Role b m.yaml:8:3",
		"/v1, Kind=ConfigMap c m.yaml:16:5",
		"example.com/v1, Kind=AllowList d m.yaml:22:1",
		"/v1, Kind=ServiceAccount e manifests[0].items[0]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestProblemsInListsHavePositions(t *testing.T) {
	spec := withFile(t, `apiVersion: v1
kind: ConfigMapList
items:
- metadata: {name: a}
  data:
    x: 1
- metadata: {}
- text
`)
	type m = map[string]any
	spec.Manifests = m{"apiVersion": "v1", "kind": "List", "items": []any{m{"metadata": m{"name": "b"}}}}
	_, problems := spec.read()
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%s %d:%d %s", p.Field, p.Line, p.Column, p.Message))
	}
	want := []string{
		`files[0] 6:8 data.x must be a text: write "1"`,
		"files[0] 7:13 metadata.name is missing",
		"files[0] 8:3 a manifest is a mapping with apiVersion, kind and metadata, not a text",
		"manifests.items[0] 0:0 apiVersion is missing",
		"manifests.items[0] 0:0 kind is missing",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Two kinds of one name are distinguished by their groups; the core group has
// none.
func TestPathsOfKindsThatShareAName(t *testing.T) {
	r := &run{spec: &Spec{}}
	for _, version := range []string{"v1", "example.com/v1"} {
		r.objects = append(r.objects, &object{ref: kubekit.Ref{APIVersion: version, Kind: "ConfigMap", Namespace: "default", Name: "x"},
			manifest: manifest{obj: &unstructured.Unstructured{Object: map[string]any{"apiVersion": version, "kind": "ConfigMap"}}}})
	}
	got := []string{r.path(r.objects[0]), r.path(r.objects[1])}
	if d := cmp.Diff([]string{"ConfigMap/default/x", "ConfigMap.example.com/default/x"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
