package chart

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/session"
)

// newEnv is an environment without a cluster, and its warnings.
func newEnv(t testing.TB) (*engine.Env, func() string) {
	t.Helper()
	var mu sync.Mutex
	var warnings []string
	env := &engine.Env{
		Step: "test", Dir: t.TempDir(), CacheDir: filepath.Join(t.TempDir(), "cache"),
		Session: &engine.Session{}, Now: time.Now,
		Logf:    func(f string, a ...any) { t.Logf(f, a...) },
		Statusf: func(string, ...any) {},
		Warnf: func(f string, a ...any) {
			mu.Lock()
			defer mu.Unlock()
			warnings = append(warnings, fmt.Sprintf(f, a...))
		},
	}
	t.Cleanup(func() {
		if err := env.Session.Close(); err != nil {
			t.Error(err)
		}
	})
	return env, func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(warnings, "\n")
	}
}

// anotherRun has the same cache and nothing else in common.
func anotherRun(env *engine.Env) *engine.Env {
	other := *env
	other.Session = &engine.Session{}
	return &other
}

func app(version string) charttest.Chart {
	return charttest.Chart{Name: "app", Version: version, AppVersion: "7", Values: "a: 1\n"}
}

func TestFetchAndCache(t *testing.T) {
	env, warned := newEnv(t)
	repo := charttest.Serve(t, app("1.0.0"), app("v1.1.0"))
	s := Source{Repo: repo.URL, Chart: "app", Version: "1.0.0"}

	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if c, err := Fetch(t.Context(), env, s); err != nil || c.Name != "app" || c.Version != "1.0.0" || c.AppVersion != "7" {
				t.Errorf("chart %+v, error %v", c, err)
			}
		})
	}
	wg.Wait()
	if d := cmp.Diff([]string{"/index.yaml", "/app-1.0.0.tgz"}, repo.Requests()); d != "" {
		t.Errorf("eight steps of a run ask for (-want +got):\n%s", d)
	}

	// Another run revalidates the index and has the archive.
	if _, err := Fetch(t.Context(), anotherRun(env), s); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"/index.yaml"}, repo.Requests()); d != "" {
		t.Errorf("another run asks for (-want +got):\n%s", d)
	}

	// A leading v is no difference.
	s.Version = "1.1.0"
	if c, err := Fetch(t.Context(), anotherRun(env), s); err != nil || c.Version != "v1.1.0" {
		t.Errorf("chart %+v, error %v", c, err)
	}
	repo.Requests()

	// A damaged archive in the cache is noticed and fetched again.
	archives, err := filepath.Glob(filepath.Join(env.CacheDir, "helm", "charts", "*.tgz"))
	if err != nil || len(archives) != 2 {
		t.Fatalf("cached archives %v, error %v", archives, err)
	}
	for _, a := range archives {
		if err := os.WriteFile(a, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Fetch(t.Context(), anotherRun(env), s); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]string{"/index.yaml", "/app-v1.1.0.tgz"}, repo.Requests()); d != "" {
		t.Errorf("with a damaged cache it asks for (-want +got):\n%s", d)
	}

	// Without the repository the cache serves, with a warning.
	repo.Close()
	if _, err := Fetch(t.Context(), anotherRun(env), s); err != nil {
		t.Error(err)
	}
	if got := warned(); !strings.Contains(got, "cannot be reached") || !strings.Contains(got, "from the cache") {
		t.Errorf("warned %q", got)
	}
	s.Version = "1.0.0" // its archive is damaged
	_, err = Fetch(t.Context(), anotherRun(env), s)
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "--mirror") {
		t.Errorf("error %v, hint %q", err, engine.HintOf(err))
	}
}

func TestDigestOfTheIndex(t *testing.T) {
	env, _ := newEnv(t)
	repo := charttest.Serve(t, app("1.0.0"))
	repo.Digest = strings.Repeat("ab", 32)
	_, err := Fetch(t.Context(), env, Source{Repo: repo.URL, Chart: "app", Version: "1.0.0"})
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), repo.Digest) {
		t.Errorf("error %v", err)
	}
	if archives, _ := filepath.Glob(filepath.Join(env.CacheDir, "helm", "charts", "*")); len(archives) != 0 {
		t.Errorf("the cache keeps %v", archives)
	}
}

func TestMirrors(t *testing.T) {
	env, _ := newEnv(t)
	repo := charttest.Serve(t, app("1.0.0"))
	// The index that the mirror copied names archives on a third host.
	repo.Base = "https://downloads.example.com/files/"
	env.Settings = session.Settings{Mirrors: []session.Mirror{
		{From: "https://charts.example.com", To: repo.URL + "/charts"},
		{From: "https://downloads.example.com", To: repo.URL + "/elsewhere"},
	}}
	c, err := Fetch(t.Context(), env, Source{Repo: "https://charts.example.com/stable/", Chart: "app", Version: "1.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	if want := repo.URL + "/elsewhere/files/app-1.0.0.tgz"; c.From != want {
		t.Errorf("from %s, want %s", c.From, want)
	}
	if d := cmp.Diff([]string{"/charts/stable/index.yaml", "/elsewhere/files/app-1.0.0.tgz"}, repo.Requests()); d != "" {
		t.Errorf("asked for (-want +got):\n%s", d)
	}
}

func TestRegistryWithARepositoryAsMirror(t *testing.T) {
	env, _ := newEnv(t)
	repo := charttest.Serve(t, app("1.0.0"))
	env.Settings = session.Settings{Mirrors: []session.Mirror{{From: "oci://registry.example.com/charts", To: repo.URL + "/mirror"}}}
	if _, err := Fetch(t.Context(), env, Source{Repo: "oci://registry.example.com/charts", Chart: "app", Version: "1.0.0"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"/mirror/index.yaml", "/mirror/app-1.0.0.tgz"}, repo.Requests()); d != "" {
		t.Errorf("asked for (-want +got):\n%s", d)
	}
}

func TestCredentials(t *testing.T) {
	env, _ := newEnv(t)
	repo := charttest.Serve(t, app("1.0.0"))
	repo.Username, repo.Password = "me", "sesame"
	other := charttest.Serve(t, app("1.0.0"))
	s := Source{Repo: repo.URL, Chart: "app", Version: "1.0.0"}

	_, err := Fetch(t.Context(), env, s)
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "401") || !strings.Contains(engine.HintOf(err), "set username") {
		t.Errorf("without credentials: error %v, hint %q", err, engine.HintOf(err))
	}
	s.Username, s.Password = "me", engine.NewSecret("wrong")
	_, err = Fetch(t.Context(), anotherRun(env), s)
	if !strings.Contains(engine.HintOf(err), "check username") || strings.Contains(fmt.Sprint(err), "wrong") {
		t.Errorf("with wrong ones: error %v, hint %q", err, engine.HintOf(err))
	}
	s.Password = engine.NewSecret("sesame")
	if _, err := Fetch(t.Context(), anotherRun(env), s); err != nil {
		t.Errorf("with the right ones: %v", err)
	}

	// The cache must not answer for a repository that refuses.
	s.Password = engine.NewSecret("wrong")
	if _, err := Fetch(t.Context(), anotherRun(env), s); err == nil {
		t.Error("the cache serves those whom the repository refuses")
	}

	// Archives on another host do not get the password.
	s.Password = engine.NewSecret("sesame")
	repo.Base = other.URL + "/"
	run := anotherRun(env)
	run.CacheDir = t.TempDir()
	if _, err := Fetch(t.Context(), run, s); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]string{"/app-1.0.0.tgz"}, other.Requests()); d != "" {
		t.Errorf("the other host is asked (-want +got):\n%s", d)
	}
}

func TestPaths(t *testing.T) {
	env, _ := newEnv(t)
	archive := filepath.Join(env.Dir, "app-1.0.0.tgz")
	if err := os.WriteFile(archive, app("1.0.0").Pack(t), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(env.Dir, "app")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Chart.yaml"), []byte("apiVersion: v2\nname: app\nversion: 2.0.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"app-1.0.0.tgz": "1.0.0", "./app": "2.0.0", dir: "2.0.0"} {
		if c, err := Fetch(t.Context(), env, Source{Chart: path}); err != nil || c.Version != want {
			t.Errorf("%s: chart %+v, error %v", path, c, err)
		}
	}
	for s, want := range map[Source]string{
		{Chart: "absent"}:                  "relative to the plan",
		{Chart: "./app", Version: "2.0.1"}: "the plan asks for 2.0.1",
	} {
		_, err := Fetch(t.Context(), env, s)
		if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error()+engine.HintOf(err), want) {
			t.Errorf("%+v: error %v, hint %q, want %q", s, err, engine.HintOf(err), want)
		}
	}
}

// TestVersionOfTheArchive: an archive of another version than its index or its tag says is
// refused, also from the cache; a leading v makes no other version.
func TestVersionOfTheArchive(t *testing.T) {
	for version, same := range map[string]bool{"1.0.0": true, "v1.0.0": true, "1.0.1": false, "1.0.0+build": false} {
		archive := app(version).Pack(t)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "index.yaml") {
				_, _ = w.Write([]byte("entries: {app: [{version: 1.0.0, urls: [app.tgz], digest: " + evidence.Digest(archive) + "}]}"))
				return
			}
			_, _ = w.Write(archive)
		}))
		t.Cleanup(s.Close)
		registry := newRegistry(t, map[string][]byte{"1.0.0": archive})
		for _, address := range []string{s.URL, "oci://" + strings.TrimPrefix(registry.URL, "http://") + "/charts"} {
			env, _ := newEnv(t)
			source := Source{Repo: address, Chart: "app", Version: "1.0.0"}
			for range 2 {
				c, err := Fetch(t.Context(), anotherRun(env), source)
				if same && (err != nil || c.Version != version) {
					t.Errorf("%s as 1.0.0 from %s: chart %+v, error %v", version, address, c, err)
				}
				if want := "its version is " + version + " and the plan asks for 1.0.0"; !same && (!errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), want)) {
					t.Errorf("%s as 1.0.0 from %s: chart %+v, error %v, want %q", version, address, c, err, want)
				}
			}
			if c := Cached(env, source); (c != nil) != same {
				t.Errorf("%s as 1.0.0 from %s: the cache has %+v", version, address, c)
			}
		}
	}
}

func TestWhatCannotBeInstalled(t *testing.T) {
	env, _ := newEnv(t)
	library, parent := app("1.0.0"), app("1.1.0")
	library.Meta = "type: library\n"
	parent.Meta = "dependencies: [{name: sub, version: 1.0.0, repository: https://charts.example.com}]\n"
	repo := charttest.Serve(t, library, parent)
	for version, want := range map[string]string{"1.0.0": "library chart", "1.1.0": "sub"} {
		_, err := Fetch(t.Context(), env, Source{Repo: repo.URL, Chart: "app", Version: version})
		if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that says %q", version, err, want)
		}
	}
}

func TestFetchCancelled(t *testing.T) {
	env, _ := newEnv(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Fetch(ctx, env, Source{Repo: charttest.Serve(t, app("1.0.0")).URL, Chart: "app", Version: "1.0.0"})
	if !errors.Is(err, context.Canceled) || errors.Is(err, engine.ErrPermanent) {
		t.Errorf("error %v, want the cancellation, and another try is worthwhile", err)
	}
}

func TestParseIndex(t *testing.T) {
	x, err := parseIndex([]byte("apiVersion: v1\nentries:\n  app:\n  - {version: 1.0.0, digest: 'sha256:AB', urls: [a.tgz], created: 2026-01-01T00:00:00Z}\n  - {version: 2.0.0}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := x.find("app", "v1.0.0"); !ok || v.Digest != "ab" {
		t.Errorf("found %+v, %v", v, ok)
	}
	if _, ok := x.find("app", "2.0.0"); ok {
		t.Error("found a version without an archive")
	}
	for _, bad := range []string{"", "<html></html>", "entries: [", "[]"} {
		if _, err := parseIndex([]byte(bad)); err == nil {
			t.Errorf("%q passes for an index", bad)
		}
	}
}
