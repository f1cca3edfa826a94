package kubetypes

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	helmengine "helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine/kubeyaml"
)

func TestCheckBuiltin(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: app\n    image: busybox\n"
	for name, c := range map[string]struct {
		text string
		want []string // field: message, and hint
	}{
		"nothing":          {pod, nil},
		"numbers for text": {pod + "    env: [{name: PORT, value: 8080}, {name: DEBUG, value: true}]\n", []string{`spec.containers[0].env[0].value: expected string, got 8080 ("8080")`, `spec.containers[0].env[1].value: expected string, got true ("true")`}},
		"a secret number":  {pod + "    env: [{name: DB_PASSWORD, value: 4711}]\n", []string{`spec.containers[0].env[0].value: expected string, got a number ()`}},
		"text for numbers": {"apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: \"3\", minReadySeconds: soon, paused: \"true\"}", []string{
			`spec.minReadySeconds: expected a whole number, got a text ()`, `spec.paused: expected true or false, got a text (true)`, `spec.replicas: expected a whole number, got a text (3)`}},
		"a fraction":     {"apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 1.5}", []string{`spec.replicas: expected a whole number, got 1.5 ()`}},
		"shapes":         {"apiVersion: v1\nkind: Service\nmetadata: [x]\nspec: {ports: {port: 80}, selector: app}", []string{"metadata: expected a mapping, got a list ()", "spec.ports: expected a list, got a mapping ()", "spec.selector: expected a mapping, got a text ()"}},
		"unknown":        {pod + "    imagePullPolice: Always\n    invented: 1\n", []string{"spec.containers[0].imagePullPolice: unknown field (imagePullPolicy)", "spec.containers[0].invented: unknown field ()"}},
		"twice":          {pod + "    env: [{name: A, value: a}, {name: B, value: a}, {name: A, value: c}]\n    invented: 1\n", []string{"spec.containers[0].invented: unknown field ()", `spec.containers[name="app"].env[name="A"]: is there twice ()`}},
		"ports":          {"apiVersion: v1\nkind: Service\nspec: {ports: [{port: 53, name: a}, {port: 53, name: b, protocol: UDP}, {port: 53, name: c, protocol: TCP}]}", []string{`spec.ports[port=53,protocol="TCP"]: is there twice ()`}},
		"a protocol":     {"apiVersion: v1\nkind: Service\nspec: {ports: [{port: 53, name: a}, {port: 53, name: b, protocol: UDP}]}", nil},
		"a quantity":     {pod + "    resources: {limits: {cpu: 1, memory: 64 Mi}, requests: {cpu: 0.5, memory: 1e3}}\n", []string{"spec.containers[0].resources.limits.memory: is not a quantity such as 500m, 1Gi or 2 ()"}},
		"int or text":    {"apiVersion: v1\nkind: Service\nspec: {ports: [{port: 1, targetPort: http}, {port: 2, targetPort: 8080}, {port: 3, targetPort: true}]}", []string{"spec.ports[2].targetPort: true or false cannot be read as IntOrString ()"}},
		"a secret":       {"apiVersion: v1\nkind: Secret\ndata: {a: canary!, b: YQ==}\ntype: 4711\nimmutable: \"true\"", []string{"data.a: is not base64 ()", "immutable: expected true or false, got a text ()", "type: expected string, got a number ()"}},
		"a label":        {"apiVersion: v1\nkind: ConfigMap\nmetadata: {labels: {example.org/a: 1, b: on}}", []string{`metadata.labels.b: expected string, got true ("true")`, `metadata.labels["example.org/a"]: expected string, got 1 ("1")`}},
		"null":           {pod + "    env:\n    args: [null]\n    resources: {limits: }\n", nil},
		"other kinds":    {"apiVersion: example.org/v1\nkind: Pod\nspec: 1", nil},
		"newer versions": {"apiVersion: apps/v9\nkind: Deployment\nspec: 1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := kubeyaml.Unmarshal([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range CheckBuiltin(&unstructured.Unstructured{Object: jsonOf(t, v)}) {
				got = append(got, fmt.Sprintf("%s: %s (%s)", p.Field, p.Message, p.Near))
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

// jsonOf returns data as it is decoded from JSON.
func jsonOf(t *testing.T, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := utiljson.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMisspelt(t *testing.T) {
	for field, c := range map[string]struct {
		near string
		want bool
	}{
		"spec.replica":                 {"replicas", false}, // as clusterIP and clusterIPs
		"spec.Replicas":                {"replicas", true},
		"spec.relpicas":                {"replicas", true},
		"spec.a[0].imagePullPolice":    {"imagePullPolicy", true},
		"spec.hostPID":                 {"hostIPC", false},
		"spec.mismatchLabelKeys":       {"matchLabelKeys", false},
		"spec.evn":                     {"env", false},
		"spec.something":               {"", false},
		`metadata.labels["a.b/image"]`: {"images", false},
	} {
		if got := (FieldProblem{Field: field, Unknown: true, Near: c.near}).Misspelt(); got != c.want {
			t.Errorf("%s for %s: %v", field, c.near, got)
		}
	}
}

// Manifests that are known to be good have no problem: those of the lab's charts.
func TestCheckBuiltinOnCharts(t *testing.T) {
	charts, _ := filepath.Glob("../../../cmd/ztlab/charts/*/Chart.yaml")
	n := 0
	for _, path := range charts {
		c, err := loader.LoadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		values, err := chartutil.ToRenderValues(c, map[string]any{}, chartutil.ReleaseOptions{Name: "r", Namespace: "demo", IsInstall: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		files, err := helmengine.Render(c, values)
		if err != nil {
			t.Fatal(err)
		}
		for file, text := range files {
			n += checkGood(t, file, text)
		}
	}
	err := filepath.WalkDir("../../..", func(path string, d os.DirEntry, err error) error {
		if err == nil && (filepath.Ext(path) == ".yaml" || filepath.Ext(path) == ".yml") && !strings.Contains(path, "templates") {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			n += checkGood(t, path, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%d objects", n); n < 40 {
		t.Errorf("only %d objects", n)
	}
}

// checkGood returns how many objects of Kubernetes' own kinds are in a text.
func checkGood(t *testing.T, file, text string) (n int) {
	for doc := range strings.SplitSeq(text, "\n---") {
		var m map[string]any
		if yaml.Unmarshal([]byte(doc), &m) != nil || m["kind"] == nil || m["metadata"] == nil {
			continue
		}
		o := &unstructured.Unstructured{Object: jsonOf(t, m)}
		n++
		for _, p := range CheckBuiltin(o) {
			t.Errorf("%s: %s: %s: %s", file, o.GetKind(), p.Field, p.Message)
		}
	}
	return n
}
