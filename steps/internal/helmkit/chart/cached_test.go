package chart

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/session"
)

// A chart that a run has fetched is read again without asking for it.
func TestCached(t *testing.T) {
	env, _ := newEnv(t)
	repo := charttest.Serve(t, app("1.0.0"), app("1.1.0"))
	env.Settings = session.Settings{Mirrors: []session.Mirror{
		{From: "https://charts.example.com", To: repo.URL + "/charts"}, {From: "oci://registry.example.com/charts", To: repo.URL + "/mirror"},
	}}
	sources := []Source{
		{Repo: repo.URL, Chart: "app", Version: "1.0.0"},
		{Repo: "https://charts.example.com/stable/", Chart: "app", Version: "1.0.0"},
		{Repo: "oci://registry.example.com/charts", Chart: "app", Version: "1.0.0"},
	}
	for _, s := range sources {
		if c := Cached(env, s); c != nil {
			t.Errorf("%s: %s before it was fetched", s.Repo, c.Title())
		}
		if _, err := Fetch(t.Context(), env, s); err != nil {
			t.Fatal(err)
		}
	}
	repo.Requests()
	for _, s := range sources {
		if c := Cached(env, s); c == nil || c.Version != "1.0.0" {
			t.Errorf("%s: %v", s.Repo, c)
		}
		s.Version = "1.1.0"
		if c := Cached(env, s); c != nil {
			t.Errorf("%s: %s was not fetched", s.Repo, c.Title())
		}
	}
	if got := repo.Requests(); len(got) > 0 {
		t.Errorf("asked for %v", got)
	}
	empty := *env
	empty.CacheDir = ""
	if c := Cached(&empty, sources[0]); c != nil {
		t.Errorf("%s without a cache", c.Title())
	}
}

func TestCachedOfARegistry(t *testing.T) {
	env, _ := newEnv(t)
	r := newRegistry(t, map[string][]byte{"1.0.0": app("1.0.0").Pack(t)})
	s := Source{Repo: "oci://" + strings.TrimPrefix(r.URL, "http://") + "/charts", Chart: "app", Version: "1.0.0"}
	if c := Cached(env, s); c != nil {
		t.Errorf("%s before it was fetched", c.Title())
	}
	if _, err := Fetch(t.Context(), env, s); err != nil {
		t.Fatal(err)
	}
	if c := Cached(env, s); c == nil || c.Version != "1.0.0" {
		t.Errorf("%v", c)
	}
}
