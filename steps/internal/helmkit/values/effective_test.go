package values

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart/loader"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

func parsed(t *testing.T, text string) Values {
	t.Helper()
	v := Values{}
	if err := yaml.Unmarshal([]byte(text), (*map[string]any)(&v)); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestEffective(t *testing.T) {
	chart, err := loader.LoadArchive(bytes.NewReader(charttest.Chart{
		Name: "app", Version: "1.0.0", Values: "replicas: 1\nimage: {tag: a, pull: Always}\nargs: [x, y]\nsub: {size: 2}\n",
		Meta: "dependencies: [{name: sub, version: 1.0.0}]\n",
		Files: map[string]string{
			"charts/sub/Chart.yaml":  "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
			"charts/sub/values.yaml": "size: 1\ncolor: red\n",
		},
	}.Pack(t)))
	if err != nil {
		t.Fatal(err)
	}
	const rest = "args: [x, y]\nsub: {size: 2, color: red, global: {}}\n"
	for name, c := range map[string]struct{ given, want string }{
		"defaults":             {"{}", "replicas: 1\nimage: {tag: a, pull: Always}\n" + rest},
		"a key inside a map":   {"image: {tag: b}", "replicas: 1\nimage: {tag: b, pull: Always}\n" + rest},
		"null takes a default": {"replicas: null\nimage: {pull: null}", "image: {tag: a}\n" + rest},
		"a list as a whole":    {"args: [z]", "replicas: 1\nimage: {tag: a, pull: Always}\nargs: [z]\nsub: {size: 2, color: red, global: {}}\n"},
		"of a subchart":        {"sub: {color: blue}", "replicas: 1\nimage: {tag: a, pull: Always}\nargs: [x, y]\nsub: {size: 2, color: blue, global: {}}\n"},
		"global, everywhere":   {"global: {zone: a}", "replicas: 1\nimage: {tag: a, pull: Always}\nargs: [x, y]\nglobal: {zone: a}\nsub: {size: 2, color: red, global: {zone: a}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			given := parsed(t, c.given)
			got, err := Effective(chart, given)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(parsed(t, c.want), got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(parsed(t, c.given), given); d != "" {
				t.Errorf("the given values were changed (-before +after):\n%s", d)
			}
		})
	}
}

func TestFlatten(t *testing.T) {
	got := Flatten(map[string]any(parsed(t, "a: {b: 1, c: {}}\nd: [1, {e: 2}]\nf: null\ng.h: x\n")), "")
	want := map[string]any{"a.b": 1.0, "a.c": map[string]any{}, "d": []any{1.0, map[string]any{"e": 2.0}}, "f": nil, "g.h": "x"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]any{"p.a": 1}, Flatten(map[string]any{"a": 1}, "p")); d != "" {
		t.Errorf("below a path (-want +got):\n%s", d)
	}
}

// A dry run prints differences: no secret may be in them, and no switch hidden.
func TestDifferingHidesSecrets(t *testing.T) {
	for name, c := range map[string]struct {
		have, want string
		shown      string // of want, as JSON writes it
	}{
		"a switch of a secret's name":    {"{}", "auth: {password: true}", `auth.password: true`},
		"a password":                     {"auth: {password: a}", "auth: {password: b}", `auth.password: (secret)`},
		"below the name of a secret":     {"{}", "tokens: {ci: abc}", `tokens.ci: (secret)`},
		"a variable's value in a list":   {"{}", "env: [{name: DB_PASSWORD, value: abc}]", `(secret)`},
		"a variable that is no secret":   {"{}", "env: [{name: LOG_LEVEL, value: debug}]", `debug`},
		"a secret that is taken away":    {"auth: {password: a}", "auth: {password: null}", `auth.password: null`},
		"a number under a secret's name": {"{}", "pin: {secretKey: 1234}", `pin.secretKey: (secret)`},
	} {
		_, got := Differing(parsed(t, c.have), parsed(t, c.want))
		text, err := yaml.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.NewReplacer("'", "", `"`, "", engine.Redacted, "(secret)").Replace(string(text))
		if !strings.Contains(plain, c.shown) {
			t.Errorf("%s: shows %s", name, plain)
		}
		for _, secret := range []string{"abc", "1234"} {
			if strings.Contains(plain, secret) {
				t.Errorf("%s: shows the secret: %s", name, plain)
			}
		}
	}
}

// A copy may be changed without the original, at any depth.
func TestCopied(t *testing.T) {
	v := parsed(t, "a: {b: [1]}")
	c := v.Copied()
	c["a"].(map[string]any)["b"].([]any)[0] = "changed"
	if d := cmp.Diff(parsed(t, "a: {b: [1]}"), v); d != "" {
		t.Errorf("the original was changed (-want +got):\n%s", d)
	}
}

// Later files win key by key, lists as a whole; a file that is no mapping is refused.
func TestReadMerges(t *testing.T) {
	for name, c := range map[string]struct {
		files  []string
		inline map[string]any
		want   string
	}{
		"inline over files":          {[]string{"a: 1\nb: 2\n"}, map[string]any{"a": 3}, "a: 3\nb: 2\n"},
		"a map over a scalar":        {[]string{"a: 1\n", "a: {b: 2}\n"}, nil, "a: {b: 2}\n"},
		"a scalar over a map":        {[]string{"a: {b: 2}\n", "a: 1\n"}, nil, "a: 1\n"},
		"null over a map":            {[]string{"a: {b: 2}\n", "a: null\n"}, nil, "a: null\n"},
		"a map over null":            {[]string{"a: null\n", "a: {b: 2}\n"}, nil, "a: {b: 2}\n"},
		"an empty map changes none":  {[]string{"a: {b: 2}\n", "a: {}\n"}, nil, "a: {b: 2}\n"},
		"a comment only":             {[]string{"# nothing\n"}, nil, "{}"},
		"an empty list over entries": {[]string{"a: [1]\n", "a: []\n"}, nil, "a: []\n"},
	} {
		var files []engine.File
		for _, text := range c.files {
			files = append(files, file(t, text))
		}
		got, err := Read(files, c.inline)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(parsed(t, c.want), got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
