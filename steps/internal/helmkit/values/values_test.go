package values

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
)

func file(t *testing.T, text string) engine.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return engine.File{Name: "values.yaml", Path: path}
}

func TestReadValues(t *testing.T) {
	got, err := Read(
		[]engine.File{file(t, "a: {b: 1, c: 2}\nlist: [1, 2]\nkeep: x\n"), file(t, ""), file(t, "a: {c: 3, d: null}\nlist: [3]\n")},
		map[string]any{"a": map[string]any{"b": 9}, "port": 30443})
	if err != nil {
		t.Fatal(err)
	}
	want := Values{
		"a":    map[string]any{"b": 9.0, "c": 3.0, "d": nil},
		"list": []any{3.0},
		"keep": "x",
		"port": 30443.0,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for text, want := range map[string]string{"- a\n": "mapping", "a: [": "values.yaml"} {
		if _, err := Read([]engine.File{file(t, text)}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one that says %q", text, err, want)
		}
	}
}

// TestValuesAsHelm: a values file is read as Helm reads it, inline values are
// read by the plan by the same rules, and a problem names its key.
func TestValuesAsHelm(t *testing.T) {
	const text = "mode: 0400\nwords: [yes, no, on, off, y, n, Yes, NO]\nnumbers: [0o17, 0x1F, 1_000, 1e3, 9007199254740993]\ntext: [\"0400\", 2026-01-02]\ny: 1\n"
	want := Values{}
	if err := yaml.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	inline, err := kubeyaml.Unmarshal([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	fromFile, err := Read([]engine.File{file(t, text)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fromPlan, err := Read(nil, inline.(map[string]any))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, fromFile); d != "" {
		t.Errorf("file: -want +got:\n%s", d)
	}
	if d := cmp.Diff(want, fromPlan); d != "" {
		t.Errorf("inline: -want +got:\n%s", d)
	}
	_, err = Read([]engine.File{file(t, "a:\n  b: .nan\n")}, nil)
	if err == nil || !strings.Contains(err.Error(), "line 2: a.b: .nan has no form in JSON") {
		t.Errorf("got %v", err)
	}
}

func TestChangedLeaves(t *testing.T) {
	have := Values{"same": 1.0, "a": map[string]any{"b": 1.0, "gone": true}, "password": "old", "empty": map[string]any{}}
	want := Values{"same": 1.0, "a": map[string]any{"b": 2.0}, "password": "new", "list": []any{map[string]any{"name": "API_TOKEN", "value": "hush"}}, "empty": map[string]any{}}
	gotHave, gotWant := Differing(have, want)
	secret := cmp.Comparer(func(a, b engine.Secret) bool { return a.Equal(b) })
	if d := cmp.Diff(map[string]any{"a.b": 1.0, "a.gone": true, "password": engine.NewSecret("old")}, gotHave, secret); d != "" {
		t.Errorf("have (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]any{
		"a.b": 2.0, "password": engine.NewSecret("new"),
		"list": []any{map[string]any{"name": "API_TOKEN", "value": engine.NewSecret("hush")}},
	}, gotWant, secret); d != "" {
		t.Errorf("want (-want +got):\n%s", d)
	}
}
