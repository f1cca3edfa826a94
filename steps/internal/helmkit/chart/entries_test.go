package chart

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	helmchart "helm.sh/helm/v3/pkg/chart"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/session"
)

// The entry of an index is that of the version that the plan writes, to the letter if
// there is one, and else of the same version with or without a v.
func TestEntryOfAVersion(t *testing.T) {
	entry := func(version, url string) indexVersion { return indexVersion{Version: version, URLs: []string{url}} }
	x := &index{Charts: map[string][]indexVersion{
		"app": {
			entry("v1.0.0", "with-v"), entry("1.0.0", "without"), entry("v2.0.0", "two"),
			{Version: "3.0.0"}, entry("v3.0.0", "three"), entry("4.0.0+a", "four-a"), entry("4.0.0+b", "four-b"), entry("4.0.0-rc.1", "four-rc"),
		},
		"other": {entry("9.0.0", "nine")},
	}}
	for version, want := range map[string]string{
		"1.0.0": "without", "v1.0.0": "with-v", "2.0.0": "two", "v2.0.0": "two",
		"3.0.0":   "three", // the entry of the same spelling has no archive
		"4.0.0+b": "four-b", "v4.0.0+a": "four-a", "4.0.0-rc.1": "four-rc",
		"4.0.0": "", "4.0": "", "9.0.0": "", "": "",
	} {
		got, ok := x.find("app", version)
		if ok != (want != "") || ok && got.URLs[0] != want {
			t.Errorf("%q: got %v, %v, want %q", version, got, ok, want)
		}
	}
}

func TestNewerVersion(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"1.1.0", "1.0.0", true},
		{"1.0.0", "1.1.0", false},
		{"1.0.0", "v1.0.0", false},
		{"1.10.0", "1.9.0", true},
		{"1.0.0", "1.0.0-rc.1", true},
		{"1.0.0+b", "1.0.0+a", false},
		{"latest", "1.0.0", false},
		{"1.0.0", "latest", false},
	} {
		if got := NewerVersion(c.a, c.b); got != c.want {
			t.Errorf("%s newer than %s: %v", c.a, c.b, got)
		}
	}
}

// A chart or version that is not there is named with what is.
func TestWhatTheIndexHasNot(t *testing.T) {
	env, _ := newEnv(t)
	var charts []charttest.Chart
	for _, name := range []string{"vault", "consul", "nomad", "boundary", "waypoint", "terraform"} {
		charts = append(charts, charttest.Chart{Name: name, Version: "1.0.0"})
	}
	full, empty := charttest.Serve(t, charts...), charttest.Serve(t)
	for name, c := range map[string]struct {
		repo, chart, version string
		want, hint           string
	}{
		"a version": {full.URL, "vault", "1.2.0", "chart vault has no version 1.2.0 in " + full.URL + ": the nearest are 1.0.0", "set version to one of them: 1.0.0"},
		"a name":    {full.URL, "vaul", "1.0.0", "chart vaul is not in " + full.URL + ": the nearest names are vault, ", "set chart to one of them: vault, "},
		"anything":  {empty.URL, "vault", "1.0.0", "chart vault is not in " + empty.URL + ", which is empty", "check the address of the repository"},
	} {
		_, err := Fetch(t.Context(), env, Source{Repo: c.repo, Chart: c.chart, Version: c.version})
		if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(engine.HintOf(err), c.hint) {
			t.Errorf("%s: error %v, hint %q", name, err, engine.HintOf(err))
		}
		if names := strings.Split(engine.HintOf(err), ", "); len(names) > 5 {
			t.Errorf("%s: names all of a large index: %v", name, names)
		}
	}
	env.Settings = session.Settings{Mirrors: []session.Mirror{{From: "https://charts.example.com", To: empty.URL}}}
	_, err := Fetch(t.Context(), env, Source{Repo: "https://charts.example.com", Chart: "vault", Version: "1.0.0"})
	if want := "https://charts.example.com (fetched from its mirror " + empty.URL + ")"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("of a mirror: %v, want %q", err, want)
	}
}

// The address of an archive is relative to the repository, or absolute; an index cannot
// name a file of this machine.
func TestAddressOfAnArchive(t *testing.T) {
	env, _ := newEnv(t)
	env.Settings = session.Settings{Mirrors: []session.Mirror{{From: "https://files.example.com", To: "http://127.0.0.1:1/m"}, {From: "https://odd.example.com", To: "file:///srv"}}}
	for _, c := range []struct{ repository, ref, want string }{
		{"https://charts.example.com", "app.tgz", "https://charts.example.com/app.tgz"},
		{"https://charts.example.com/stable", "app.tgz", "https://charts.example.com/stable/app.tgz"},
		{"https://charts.example.com/stable/", "charts/app.tgz", "https://charts.example.com/stable/charts/app.tgz"},
		{"https://charts.example.com/stable", "../app.tgz", "https://charts.example.com/app.tgz"},
		{"https://charts.example.com/stable", "/app.tgz", "https://charts.example.com/app.tgz"},
		{"https://charts.example.com?key=k", "app.tgz", "https://charts.example.com/app.tgz?key=k"},
		{"https://charts.example.com?key=k", "app.tgz?key=x", "https://charts.example.com/app.tgz?key=x"},
		{"https://charts.example.com", "https://cdn.example.com/app.tgz", "https://cdn.example.com/app.tgz"},
		{"https://charts.example.com", "https://files.example.com/app.tgz", "http://127.0.0.1:1/m/app.tgz"},
		{"https://charts.example.com", "https://odd.example.com/app.tgz", ""},
		{"https://charts.example.com", "file:///etc/passwd", ""},
		{"https://charts.example.com", "ftp://files.example.org/app.tgz", ""},
		{"https://charts.example.com", "%zz", ""},
	} {
		got, err := (&repository{named: c.repository, address: c.repository}).resolve(env, c.ref)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s in %s: got %q, %v, want %q", c.ref, c.repository, got, err, c.want)
		}
	}
}

// The digest of a chart is that of its content: the same for an archive and for a
// folder, and another one as soon as a name or a text is.
func TestDigestOfAChart(t *testing.T) {
	env, _ := newEnv(t)
	write := func(c charttest.Chart) *Chart {
		t.Helper()
		name := fmt.Sprintf("%d.tgz", len(c.Values)+len(c.Files["templates/a.yaml"])*100)
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, c.Pack(t), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Local(env, Source{Chart: path})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	with := func(values string, files map[string]string) charttest.Chart {
		return charttest.Chart{Name: "app", Version: "1.0.0", Values: values, Files: files}
	}
	base := write(with("a: 1\n", map[string]string{"templates/a.yaml": "a", "templates/b.yaml": "bb"}))
	if again := write(with("a: 1\n", map[string]string{"templates/a.yaml": "a", "templates/b.yaml": "bb"})); again.Digest != base.Digest {
		t.Error("the same chart has two digests")
	}
	for name, c := range map[string]struct {
		chart         charttest.Chart
		sameTemplates bool
	}{
		"another default":      {with("a: 2\n", map[string]string{"templates/a.yaml": "a", "templates/b.yaml": "bb"}), true},
		"another template":     {with("a: 1\n", map[string]string{"templates/a.yaml": "x", "templates/b.yaml": "bb"}), false},
		"another name":         {with("a: 1\n", map[string]string{"templates/a.yaml": "a", "templates/c.yaml": "bb"}), false},
		"two that are swapped": {with("a: 1\n", map[string]string{"templates/a.yaml": "bb", "templates/b.yaml": "a"}), false},
		"a file beside":        {with("a: 1\n", map[string]string{"templates/a.yaml": "a", "templates/b.yaml": "bb", "files/x": "x"}), false},
		"a schema":             {with("a: 1\n", map[string]string{"templates/a.yaml": "a", "templates/b.yaml": "bb", "values.schema.json": "{}"}), false},
	} {
		got := write(c.chart)
		if got.Digest == base.Digest {
			t.Errorf("%s is not noticed", name)
		}
		if same := TemplatesDigest(got.Parsed()) == TemplatesDigest(base.Parsed()); same != c.sameTemplates {
			t.Errorf("%s: what Helm stores is the same: %v", name, same)
		}
	}
	folder := t.TempDir()
	for _, f := range base.Parsed().Raw {
		path := filepath.Join(folder, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := Local(env, Source{Chart: folder}); err != nil || got.Digest != base.Digest {
		t.Errorf("as a folder it is another chart: %v", err)
	}
}

// A chart is shared by those who look at it; what Helm changes is a copy.
func TestLoadIsACopy(t *testing.T) {
	env, _ := newEnv(t)
	if err := os.WriteFile(filepath.Join(env.Dir, "app.tgz"), app("1.0.0").Pack(t), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Local(env, Source{Chart: "app.tgz"})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := c.Load()
	if err != nil {
		t.Fatal(err)
	}
	loaded.Values["a"], loaded.Metadata.Name, loaded.Templates = 9, "changed", append(loaded.Templates, &helmchart.File{Name: "templates/x.yaml"})
	if d := cmp.Diff(map[string]any{"a": 1.0}, c.Parsed().Values); d != "" || c.Parsed().Name() != "app" || len(c.Parsed().Templates) != 0 {
		t.Errorf("the chart was changed: %v %s", c.Parsed(), d)
	}
	unknown, unread := c.UnknownValues(values.Values{"b": 1.0}), c.UnreadValues(values.Values{"a": 1.0})
	if len(unknown) != 1 || unknown[0].Path != "b" || len(unread) != 1 || unread[0].Path != "a" {
		t.Errorf("unknown %v, unread %v", unknown, unread)
	}
	if c.Title() != "chart app 1.0.0" || c.Deprecated() {
		t.Errorf("%s, deprecated %v", c.Title(), c.Deprecated())
	}
}

// What is beside the plan and is no chart is refused with its name.
func TestPathsThatAreNoCharts(t *testing.T) {
	env, _ := newEnv(t)
	for name, text := range map[string]string{"text.tgz": "text", "empty/README": "", "broken/Chart.yaml": "a: [", "nameless/Chart.yaml": "apiVersion: v2\n"} {
		path := filepath.Join(env.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"text.tgz", "empty", "broken", "nameless"} {
		if c, err := Local(env, Source{Chart: path}); !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "chart "+path) {
			t.Errorf("%s: got %v, %v", path, c, err)
		}
		if c := Cached(env, Source{Chart: path}); c != nil {
			t.Errorf("%s: is a chart without being asked: %s", path, c.Title())
		}
	}
}
