package applymanifest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kyaml "sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
)

func withFile(t *testing.T, text string) *Spec {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := Kind.New().(*Spec)
	spec.Files = []engine.File{{Name: "m.yaml", Path: path}}
	return spec
}

func TestValidate(t *testing.T) {
	configMap := map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "a"}}
	file := func(text string) func(*testing.T) *Spec {
		return func(t *testing.T) *Spec { return withFile(t, text) }
	}
	inline := func(v any) func(*testing.T) *Spec {
		return func(*testing.T) *Spec {
			spec := Kind.New().(*Spec)
			spec.Manifests = v
			return spec
		}
	}
	for name, test := range map[string]struct {
		spec func(*testing.T) *Spec
		want []string // "field line:column message"
	}{
		"nothing": {inline(nil), []string{"manifests 0:0 there is nothing to apply"}},
		"good":    {inline([]any{configMap}), nil},
		"good text of several documents": {
			inline("# first\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"), nil,
		},
		"good list object": {
			file("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"), nil,
		},
		"bad YAML": {
			file("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n bad: x\n"),
			[]string{"files[0] 4:1 not valid YAML: did not find expected key"},
		},
		"key twice": {
			file("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata: {}\ndata: {}\n"),
			[]string{`files[0] 6:1 key "data" is given twice; first in line 5`},
		},
		"empty file": {file(""), []string{"files[0] 1:1 there is no object in it"}},
		"no mapping": {file("- a\n"), []string{"files[0] 1:1 a manifest is a mapping with apiVersion, kind and metadata, not a list"}},
		"second document incomplete": {
			file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: ConfigMap\nmetadata:\n  labels: {}\n"),
			[]string{"files[0] 5:1 apiVersion is missing", "files[0] 7:3 metadata.name is missing"},
		},
		"kind of the wrong type": {
			file("apiVersion: v1\nkind: 3\nmetadata: {name: a}\n"), []string{"files[0] 2:7 kind must be a text"},
		},
		"bad version":    {file("apiVersion: a/b/c\nkind: X\nmetadata: {name: a}\n"), []string{`files[0] 1:13 apiVersion "a/b/c" must be version or group/version`}},
		"generated name": {file("apiVersion: v1\nkind: X\nmetadata: {generateName: a-}\n"), []string{"files[0] 3:26 metadata.generateName makes a new object every time: give a name"}},
		"values that are no texts": {
			file("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: 1\n  t: one\n  z: true\n  word: NO\n  y: 0400\n"),
			[]string{
				`files[0] 5:6 data.a must be a text: write "1"`, `files[0] 9:6 data.true must be a text: write "0400"`,
				`files[0] 8:9 data.word must be a text: write "NO"`, `files[0] 7:6 data.z must be a text: write "true"`,
			},
		},
		"text in the plan": {
			inline("apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"), []string{"manifests 0:0 line 3 of the text: metadata.name is missing"},
		},
		"twice": {
			func(t *testing.T) *Spec {
				spec := withFile(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
				spec.Manifests = []any{configMap}
				return spec
			},
			[]string{"manifests[0] 0:0 ConfigMap a is written twice: first in m.yaml:1:1"},
		},
		"namespace without a name": {
			func(t *testing.T) *Spec {
				spec := inline(configMap)(t)
				spec.CreateNamespace = true
				return spec
			},
			[]string{"createNamespace 0:0 there is no namespace to create: give namespace too"},
		},
		"condition of nothing": {
			func(t *testing.T) *Spec {
				spec := inline(configMap)(t)
				spec.Wait.Conditions = []Condition{
					{Kind: "ConfigMap", Name: "a", Type: "Ready"},
					{Kind: "ConfigMap", Name: "b", Type: "Ready"},
					{APIVersion: "v1", Kind: "ConfigMap", Name: "c", Type: "Ready"},
				}
				return spec
			},
			[]string{"wait.conditions[1].name 0:0 this step has no ConfigMap with the name b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var p engine.Problems
			test.spec(t).Validate(&p)
			var got []string
			for _, pr := range p.List() {
				got = append(got, fmt.Sprintf("%s %d:%d %s", pr.Field, pr.Line, pr.Column, pr.Message))
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestReadKeepsWhatKubernetesReads(t *testing.T) {
	spec := withFile(t, `
apiVersion: v1
kind: ConfigMap
metadata:
  name: a
  uid: gone
  annotations: {since: 2026-01-02}
data: &data {x: z}
binaryData: *data
mode: 0644
big: 9007199254740993
status: {gone: true}
`)
	found, problems := spec.read()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := map[string]any{
		"apiVersion": "v1",
		"kind":       "ConfigMap",
		"metadata":   map[string]any{"name": "a", "annotations": map[string]any{"since": "2026-01-02"}},
		"data":       map[string]any{"x": "z"},
		"binaryData": map[string]any{"x": "z"},
		"mode":       int64(0o644),
		"big":        int64(9007199254740993),
	}
	if d := cmp.Diff(want, found[0].obj.Object); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestManifestsAsKubectl: the same text as a file, as text in the plan and as data
// gives the same object, the one that kubectl reads.
func TestManifestsAsKubectl(t *testing.T) {
	const text = `apiVersion: example.org/v1
kind: Thing
metadata: {name: a, labels: {y: "yes"}}
spec:
  mode: 0400
  words: [yes, no, on, off, y, n, Yes, NO, true]
  numbers: [0o17, 0x1F, 1_000, 08, 1e3, .5, 1.10, 9007199254740993]
  text: ["0400", 2026-01-02, 22:22:22, 1.2.3.4]
  base: &base {a: 1, b: on}
  merged: {a: 2, <<: *base}
`
	want := map[string]any{}
	if err := kyaml.Unmarshal([]byte(text), &want, func(d *json.Decoder) *json.Decoder { d.UseNumber(); return d }); err != nil {
		t.Fatal(err)
	}
	data, err := kubeyaml.Unmarshal([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, spec := range map[string]*Spec{
		"file": withFile(t, text),
		"text": {Manifests: text},
		"data": {Manifests: []any{data}},
	} {
		found, problems := spec.read()
		if len(problems) > 0 {
			t.Fatal(name, problems)
		}
		got, _ := json.Marshal(found[0].obj.Object)
		wanted, _ := json.Marshal(want)
		if d := cmp.Diff(string(wanted), string(got)); d != "" {
			t.Errorf("%s: -want +got:\n%s", name, d)
		}
	}
}

func TestManifestProblemsNameTheKey(t *testing.T) {
	spec := withFile(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: .inf\n  b: x\n  b: y\n")
	_, problems := spec.read()
	var got []string
	for _, p := range problems {
		got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Message))
	}
	want := []string{
		"5:6 data.a: .inf has no form in JSON: write a number, or the text in quotes",
		`7:3 data: key "b" is given twice; first in line 6`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestSecretTextsAreEncoded(t *testing.T) {
	spec := withFile(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: eA==, b: eQ==}\nstringData: {b: new}\n")
	found, problems := spec.read()
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got := found[0].obj.Object
	delete(got, "metadata")
	want := map[string]any{"apiVersion": "v1", "kind": "Secret", "data": map[string]any{"a": "eA==", "b": "bmV3"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestSorted(t *testing.T) {
	var objects []*object
	for _, s := range []string{
		"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration", "cert-manager.io/v1 Certificate",
		"apps/v1 Deployment", "v1 ConfigMap", "rbac.authorization.k8s.io/v1 Role", "cert-manager.io/v1 ClusterIssuer",
		"apiextensions.k8s.io/v1 CustomResourceDefinition", "v1 Namespace", "v1 ServiceAccount",
	} {
		version, kind, _ := strings.Cut(s, " ")
		objects = append(objects, &object{manifest: manifest{obj: &unstructured.Unstructured{
			Object: map[string]any{"apiVersion": version, "kind": kind},
		}}})
	}
	var got []string
	for _, o := range sorted(objects) {
		got = append(got, o.obj.GetKind())
	}
	want := []string{
		"Namespace", "CustomResourceDefinition", "ServiceAccount", "Role", "ConfigMap", "Deployment",
		"Certificate", "ClusterIssuer", "ValidatingWebhookConfiguration",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
