package chart

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/session"
)

// moody serves a repository, or answers with a status if one is set.
func moody(t *testing.T, repo http.Handler) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	status := new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := status.Load(); code != 0 {
			w.WriteHeader(int(code))
			return
		}
		repo.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s, status
}

// A repository that refuses is believed, also where the cache has the chart. One that
// has other worries is asked again, and the cache may answer for it.
func TestAnswersOfARepository(t *testing.T) {
	for status, c := range map[int]struct {
		permanent, cached bool
		hint              string
	}{
		http.StatusUnauthorized:        {true, false, "set username and password"},
		http.StatusForbidden:           {true, false, "set username and password"},
		http.StatusNotFound:            {true, false, "check the address"},
		http.StatusGone:                {true, false, "check the address"},
		http.StatusTeapot:              {true, false, ""},
		http.StatusNotModified:         {true, true, ""}, // to a question without conditions it is no answer
		http.StatusTooManyRequests:     {false, true, ""},
		http.StatusInternalServerError: {false, true, ""},
		http.StatusBadGateway:          {false, true, ""},
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			env, warned := newEnv(t)
			s, answer := moody(t, charttest.Serve(t, app("1.0.0")))
			source := Source{Repo: s.URL, Chart: "app", Version: "1.0.0"}
			answer.Store(int32(status))
			_, err := Fetch(t.Context(), env, source)
			if err == nil || errors.Is(err, engine.ErrPermanent) != c.permanent || !strings.Contains(engine.HintOf(err), c.hint) {
				t.Errorf("error %v, permanent %v, hint %q", err, errors.Is(err, engine.ErrPermanent), engine.HintOf(err))
			}
			if err != nil && !strings.Contains(err.Error(), s.URL+"/index.yaml") {
				t.Errorf("the address is not named: %v", err)
			}
			answer.Store(0)
			if _, err := Fetch(t.Context(), anotherRun(env), source); err != nil {
				t.Fatal(err)
			}
			answer.Store(int32(status))
			if _, err := Fetch(t.Context(), anotherRun(env), source); (err == nil) != c.cached {
				t.Errorf("with a cache: %v", err)
			}
			if stale := c.cached && status != http.StatusNotModified; strings.Contains(warned(), "cannot be reached") != stale {
				t.Errorf("warned %q", warned())
			}
			source.Version = "2.0.0" // which the cache does not know
			if _, err := Fetch(t.Context(), anotherRun(env), source); err == nil {
				t.Error("found a version that is nowhere")
			} else if status != http.StatusNotModified && strings.Contains(err.Error(), "has no version") {
				t.Errorf("an old index decides that a version does not exist: %v", err)
			}
		})
	}
}

// Credentials that are refused get another hint than those that are missing.
func TestHintOfRefusedCredentials(t *testing.T) {
	env, _ := newEnv(t)
	s, answer := moody(t, charttest.Serve(t))
	answer.Store(http.StatusForbidden)
	_, err := Fetch(t.Context(), env, Source{Repo: s.URL, Chart: "app", Version: "1.0.0", Username: "me", Password: engine.NewSecret("sesame")})
	if !strings.Contains(engine.HintOf(err), "refuses the credentials") || strings.Contains(err.Error()+engine.HintOf(err), "sesame") {
		t.Errorf("error %v, hint %q", err, engine.HintOf(err))
	}
}

// An index is kept as the repository had it last.
func TestIndexIsRenewed(t *testing.T) {
	env, _ := newEnv(t)
	repo := charttest.Serve(t, app("1.0.0"))
	s := Source{Repo: repo.URL, Chart: "app", Version: "1.0.0"}
	if _, err := Fetch(t.Context(), env, s); err != nil {
		t.Fatal(err)
	}
	repo.Add(t, app("1.1.0"))
	s.Version = "1.1.0"
	if _, err := Fetch(t.Context(), anotherRun(env), s); err != nil {
		t.Fatal(err)
	}
	repo.Close()
	if c, err := Fetch(t.Context(), anotherRun(env), s); err != nil || c.Version != "1.1.0" {
		t.Errorf("without the repository: chart %+v, error %v", c, err)
	}
}

// A record of the cache that cannot be read is as good as none, whatever is in it: the
// repository is asked for all of its index.
func TestDamagedIndexInTheCache(t *testing.T) {
	for name, damage := range map[string]func(map[string]any) []byte{
		"empty":       func(map[string]any) []byte { return nil },
		"cut off":     func(map[string]any) []byte { return []byte(`{"etag": "x", "charts`) },
		"no charts":   func(r map[string]any) []byte { delete(r, "charts"); return marshal(t, r) },
		"other types": func(r map[string]any) []byte { r["charts"] = map[string]any{"app": 5}; return marshal(t, r) },
	} {
		t.Run(name, func(t *testing.T) {
			env, _ := newEnv(t)
			s := Source{Repo: charttest.Serve(t, app("1.0.0")).URL, Chart: "app", Version: "1.0.0"}
			if _, err := Fetch(t.Context(), env, s); err != nil {
				t.Fatal(err)
			}
			records, err := filepath.Glob(filepath.Join(env.CacheDir, "helm", "indexes", "*.json"))
			if err != nil || len(records) != 1 {
				t.Fatalf("records %v, %v", records, err)
			}
			text, err := os.ReadFile(records[0])
			if err != nil {
				t.Fatal(err)
			}
			var record map[string]any
			if err := json.Unmarshal(text, &record); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(records[0], damage(record), 0o600); err != nil {
				t.Fatal(err)
			}
			if c := Cached(env, s); c != nil {
				t.Errorf("%s comes from the damaged record", c.Title())
			}
			if _, err := Fetch(t.Context(), anotherRun(env), s); err != nil {
				t.Error(err)
			}
		})
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A repository that knows dates and no tags is asked whether something has changed.
func TestIndexWithADate(t *testing.T) {
	const date = "Mon, 05 Jan 2026 10:00:00 GMT"
	env, _ := newEnv(t)
	archive := app("1.0.0").Pack(t)
	var indexes atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "index.yaml") {
			_, _ = w.Write(archive)
			return
		}
		w.Header().Set("Last-Modified", date)
		if r.Header.Get("If-Modified-Since") == date {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		indexes.Add(1)
		_, _ = w.Write([]byte("entries: {app: [{version: 1.0.0, urls: [app.tgz], digest: " + evidence.Digest(archive) + "}]}"))
	}))
	t.Cleanup(s.Close)
	for range 3 {
		if _, err := Fetch(t.Context(), anotherRun(env), Source{Repo: s.URL, Chart: "app", Version: "1.0.0"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := indexes.Load(); n != 1 {
		t.Errorf("the index was sent %d times", n)
	}
}

// An archive for which the index has no digest is fetched each time: nothing says that
// the one in the cache is the same.
func TestArchiveWithoutADigest(t *testing.T) {
	env, _ := newEnv(t)
	version := "1.0.0"
	var archives atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "index.yaml") {
			_, _ = w.Write([]byte("entries: {app: [{version: 1.0.0, urls: [app.tgz]}]}"))
			return
		}
		archives.Add(1)
		_, _ = w.Write(app(version).Pack(t))
	}))
	t.Cleanup(s.Close)
	source := Source{Repo: s.URL, Chart: "app", Version: "1.0.0"}
	for range 2 {
		if _, err := Fetch(t.Context(), anotherRun(env), source); err != nil {
			t.Fatal(err)
		}
	}
	if n := archives.Load(); n != 2 {
		t.Errorf("fetched %d times", n)
	}
	if c := Cached(env, source); c != nil {
		t.Errorf("the cache has %s", c.Title())
	}
}

// Two repositories may have a chart of one name and version, and each is asked for its
// own, in one run and with one cache.
func TestChartsOfTheSameName(t *testing.T) {
	env, _ := newEnv(t)
	one, other := app("1.0.0"), app("1.0.0")
	other.Values = "a: 2\n"
	digests := map[string]bool{}
	for _, c := range []charttest.Chart{one, other} {
		repo := charttest.Serve(t, c)
		got, err := Fetch(t.Context(), env, Source{Repo: repo.URL, Chart: "app", Version: "1.0.0"})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(got.From, repo.URL+"/") {
			t.Errorf("the chart of %s is from %s", repo.URL, got.From)
		}
		digests[got.Digest] = true
	}
	if len(digests) != 2 {
		t.Error("one of them is the other's")
	}
}

// The password goes to the repository that the plan names, and to no mirror of it.
func TestMirrorsGetNoPassword(t *testing.T) {
	env, _ := newEnv(t)
	repo := charttest.Serve(t, app("1.0.0"))
	registry := newRegistry(t, map[string][]byte{"1.0.0": app("1.0.0").Pack(t)})
	open := &listener{Handler: registry}
	mirror := httptest.NewServer(open)
	t.Cleanup(mirror.Close)
	env.Settings = session.Settings{Mirrors: []session.Mirror{
		{From: "https://charts.example.com", To: repo.URL},
		{From: "oci://registry.example.com", To: "oci://" + strings.TrimPrefix(mirror.URL, "http://")},
	}}
	for _, address := range []string{"https://charts.example.com", "oci://registry.example.com/charts"} {
		s := Source{Repo: address, Chart: "app", Version: "1.0.0", Username: "me", Password: engine.NewSecret("sesame")}
		if _, err := Fetch(t.Context(), env, s); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if d := cmp.Diff([]string{"/index.yaml", "/app-1.0.0.tgz"}, repo.Requests()); d != "" {
		t.Errorf("the mirror is asked (-want +got):\n%s", d)
	}
	if got := open.heard(); got != "" {
		t.Errorf("the registry's mirror got %q", got)
	}
	// One that wants a password does not get it either.
	registry.password = "sesame"
	s := Source{Repo: "oci://registry.example.com/charts", Chart: "app", Version: "1.0.0", Username: "me", Password: engine.NewSecret("sesame")}
	run := anotherRun(env)
	run.CacheDir = t.TempDir()
	if _, err := Fetch(t.Context(), run, s); !errors.Is(err, engine.ErrPermanent) || open.heard() != "" {
		t.Errorf("a mirror that asks for the password: error %v, got %q", err, open.heard())
	}
}

// Where nothing answers, or nothing that can be trusted, the error says why.
func TestUnreachable(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	untrusted, plain := httptest.NewUnstartedServer(http.NotFoundHandler()), httptest.NewServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it are the point
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	t.Cleanup(plain.Close)
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }))
	t.Cleanup(loop.Close)
	for name, c := range map[string]struct {
		address, said, hint string
		permanent           bool
	}{
		"nothing listens":          {gone.URL, "refused", "--mirror", true},
		"an unknown authority":     {untrusted.URL, "certificate", "caFile", true},
		"no TLS":                   {strings.Replace(plain.URL, "http:", "https:", 1), "", "does not speak TLS", true},
		"a redirect without end":   {loop.URL, "stopped after 10 redirects", "", false},
		"an address with password": {strings.Replace(gone.URL, "http://", "http://me:sesame@", 1), "refused", "--mirror", true},
	} {
		env, _ := newEnv(t)
		_, err := Fetch(t.Context(), env, Source{Repo: c.address, Chart: "app", Version: "1.0.0"})
		if err == nil || !strings.Contains(err.Error(), c.said) || !strings.Contains(engine.HintOf(err), c.hint) || errors.Is(err, engine.ErrPermanent) != c.permanent {
			t.Errorf("%s: error %v, permanent %v, hint %q", name, err, errors.Is(err, engine.ErrPermanent), engine.HintOf(err))
		}
		if err != nil && strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: the password shows: %v", name, err)
		}
	}
}

// What is no repository, and what is larger than any, is refused.
func TestWhatIsNoRepository(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>welcome</html>")) }))
	t.Cleanup(s.Close)
	env, _ := newEnv(t)
	_, err := Fetch(t.Context(), env, Source{Repo: s.URL, Chart: "app", Version: "1.0.0"})
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "check the address of the repository") {
		t.Errorf("a web page: %v, hint %q", err, engine.HintOf(err))
	}
	f := &fetcher{client: s.Client()}
	if _, err := f.get(t.Context(), s.URL, "", "", 5); !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("larger than the limit: %v", err)
	}
	if got, err := f.get(t.Context(), s.URL, "", "", int64(len("<html>welcome</html>"))); err != nil || len(got.body) == 0 {
		t.Errorf("as large as the limit: %v", err)
	}
	for name, file := range map[string]string{"absent": "", "no certificate": "text"} {
		path := filepath.Join(t.TempDir(), "ca.pem")
		if file != "" {
			if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Fetch(t.Context(), env, Source{Repo: s.URL, Chart: "app", Version: "1.0.0", CAFile: engine.File{Name: "ca.pem", Path: path}})
		if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "caFile ca.pem") {
			t.Errorf("a CA file that is %s: %v", name, err)
		}
	}
}
