package kubefields_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

func TestFlatten(t *testing.T) {
	object := map[string]any{
		"apiVersion": "v1", "kind": "Pod", "status": map[string]any{"phase": "Running"},
		"metadata": map[string]any{"name": "p", "uid": "u", "labels": map[string]any{"app.kubernetes.io/name": "p"}},
		"spec": map[string]any{
			"containers": []any{map[string]any{"name": "nginx", "image": "nginx:1", "args": []any{"-v"}}},
			"rules":      []any{map[string]any{"verbs": []any{"get"}}, map[string]any{"verbs": []any{"list"}}},
			"volumes":    []any{map[string]any{"name": "tmp", "emptyDir": map[string]any{}}},
		},
	}
	want := map[string]any{
		"metadata/labels/app.kubernetes.io/name": "p",
		"spec/containers[nginx]/name":            "nginx",
		"spec/containers[nginx]/image":           "nginx:1",
		"spec/containers[nginx]/args":            []any{"-v"},
		"spec/rules[0]/verbs":                    []any{"get"},
		"spec/rules[1]/verbs":                    []any{"list"},
		"spec/volumes[tmp]/name":                 "tmp",
		"spec/volumes[tmp]/emptyDir":             map[string]any{},
	}
	if d := cmp.Diff(want, kubefields.Flatten(object)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestCondense(t *testing.T) {
	flat := func(size string) map[string]any {
		return map[string]any{
			"spec/scope": "Cluster",
			"spec/versions[v1]/schema/openAPIV3Schema/type":                 "object",
			"spec/versions[v1]/schema/openAPIV3Schema/properties/size/type": size,
		}
	}
	got := kubefields.Condense(kubefields.CRDKind, flat("integer"))
	text, _ := got["spec/versions[v1]/schema/openAPIV3Schema"].(string)
	if len(got) != 2 || got["spec/scope"] != "Cluster" || !strings.HasPrefix(text, "2 fields, sha256:") {
		t.Errorf("got %v", got)
	}
	if other := kubefields.Condense(kubefields.CRDKind, flat("string")); cmp.Equal(got, other) {
		t.Error("another schema has the same digest")
	}
}

func TestDiffering(t *testing.T) {
	have, want := kubefields.Differing(
		map[string]any{"same": "1", "changed": int64(1), "removed": true},
		map[string]any{"same": "1", "changed": int64(2), "added": "x"},
	)
	if d := cmp.Diff(map[string]any{"changed": int64(1), "removed": true}, have); d != "" {
		t.Errorf("have: -want +got:\n%s", d)
	}
	if d := cmp.Diff(map[string]any{"changed": int64(2), "added": "x"}, want); d != "" {
		t.Errorf("want: -want +got:\n%s", d)
	}
}

func TestHide(t *testing.T) {
	flat := func() map[string]any {
		return map[string]any{
			"data/color": "aHVudGVyMg==",
			"type":       "Opaque",
			"metadata/annotations/kubectl.kubernetes.io/last-applied-configuration": "hunter2",
		}
	}
	got := fmt.Sprint(kubefields.Hide(schema.GroupKind{Kind: "Secret"}, flat()))
	if strings.Contains(got, "aHVudGVyMg") || strings.Contains(got, "hunter2") || !strings.Contains(got, "Opaque") {
		t.Errorf("got %s", got)
	}
	if d := cmp.Diff(flat(), kubefields.Hide(schema.GroupKind{Kind: "ConfigMap"}, flat())); d != "" {
		t.Errorf("a ConfigMap is hidden: %s", d)
	}
	named := fmt.Sprint(kubefields.Hide(schema.GroupKind{Kind: "ConfigMap"}, map[string]any{"data/superuserPassword": "hunter2", "data/secretName": "shown"}))
	if strings.Contains(named, "hunter2") || !strings.Contains(named, "shown") {
		t.Errorf("by name: %s", named)
	}
	lists := map[string]any{"args": []any{"--color", "shown", "--password", "abc"}, "spec/passwords": []any{"abc"}, "spec/ports": []any{int64(80)}}
	if got, want := fmt.Sprint(kubefields.Hide(schema.GroupKind{Kind: "Job"}, lists)), "map[args:[--color shown --password (secret)] spec/passwords:[(secret)] spec/ports:[80]]"; got != want {
		t.Errorf("lists: %s, want %s", got, want)
	}
}

// TestSecretValues: the secrets of an object, by their names, and in arguments and texts.
func TestSecretValues(t *testing.T) {
	container := map[string]any{
		"name": "c", "args": []any{"--password", "abc", "--api-key=CANARY1x2y", "--token", "$(TOKEN)", int64(1)},
		"command": []any{"sh", "-c", "login --auth-token CANARY3x4y --color red"},
		"env":     []any{map[string]any{"name": "DB_PASSWORD", "value": "def"}},
	}
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Pod", "spec": map[string]any{"containers": []any{container}}}}
	got := kubefields.SecretValues(o)
	slices.SortFunc(got, func(a, b kubefields.SecretValue) int { return strings.Compare(a.Key+a.Text, b.Key+b.Text) })
	const at = "spec/containers[c]/"
	want := []kubefields.SecretValue{{Key: at + "args", Text: "CANARY1x2y"}, {Key: at + "args", Text: "abc", Named: true}, {Key: at + "command", Text: "CANARY3x4y"}, {Key: at + "env[DB_PASSWORD]/value", Text: "def", Named: true}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
