package chart

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// registry is a read-only OCI registry with one chart.
type registry struct {
	*httptest.Server
	tags     map[string][]byte // archives, by tag
	password string
	blobs    atomic.Int32 // archives that were sent
}

func newRegistry(t *testing.T, tags map[string][]byte) *registry {
	r := &registry{tags: tags}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *registry) manifest(archive []byte) []byte {
	b, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.manifest.v1+json",
		"config":        map[string]any{"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": "sha256:" + evidence.Digest(nil), "size": 0},
		"layers":        []any{map[string]any{"mediaType": chartLayer, "digest": "sha256:" + evidence.Digest(archive), "size": len(archive)}},
	})
	if err != nil {
		panic(err)
	}
	return b
}

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if _, password, _ := req.BasicAuth(); r.password != "" && password != r.password {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	path, ok := strings.CutPrefix(req.URL.Path, "/v2/charts/app/")
	if !ok {
		http.NotFound(w, req)
		return
	}
	if path == "tags/list" {
		names := []string{}
		for tag := range r.tags {
			names = append(names, tag)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": "charts/app", "tags": names})
		return
	}
	for tag, archive := range r.tags {
		m := r.manifest(archive)
		switch path {
		case "manifests/" + tag, "manifests/sha256:" + evidence.Digest(m):
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Docker-Content-Digest", "sha256:"+evidence.Digest(m))
			_, _ = w.Write(m)
			return
		case "blobs/sha256:" + evidence.Digest(archive):
			r.blobs.Add(1)
			_, _ = w.Write(archive)
			return
		}
	}
	http.NotFound(w, req)
}

func TestRegistry(t *testing.T) {
	env, warned := newEnv(t)
	r := newRegistry(t, map[string][]byte{"1.0.0": app("1.0.0").Pack(t), "1.1.0_build.1": app("1.1.0+build.1").Pack(t)})
	oci := "oci://" + strings.TrimPrefix(r.URL, "http://") + "/charts"

	s := Source{Repo: oci, Chart: "app", Version: "1.0.0"}
	if c, err := Fetch(t.Context(), env, s); err != nil || c.Version != "1.0.0" {
		t.Fatalf("chart %+v, error %v", c, err)
	}
	if _, err := Fetch(t.Context(), anotherRun(env), s); err != nil || r.blobs.Load() != 1 {
		t.Errorf("error %v after %d downloads, want none and one", err, r.blobs.Load())
	}

	// A plus sign in a version is an underscore in a tag.
	if c, err := Fetch(t.Context(), env, Source{Repo: oci + "/app", Version: "1.1.0+build.1"}); err != nil || c.Version != "1.1.0+build.1" {
		t.Errorf("chart %+v, error %v", c, err)
	}

	// A tag that was moved is noticed.
	moved := app("1.0.0")
	moved.AppVersion = "8"
	r.tags["1.0.0"] = moved.Pack(t)
	if c, err := Fetch(t.Context(), anotherRun(env), s); err != nil || c.AppVersion != "8" {
		t.Errorf("chart %+v, error %v", c, err)
	}

	_, err := Fetch(t.Context(), env, Source{Repo: oci, Chart: "app", Version: "1.0.5"})
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), oci+"/app has no version 1.0.5: the nearest are 1.1.0+build.1, 1.0.0") {
		t.Errorf("no such version: %v", err)
	}
	_, err = Fetch(t.Context(), env, Source{Repo: oci, Chart: "other", Version: "1.0.5"})
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("no such chart: %v", err)
	}

	r.Close()
	if _, err := Fetch(t.Context(), anotherRun(env), s); err != nil {
		t.Errorf("without the registry: %v", err)
	}
	if got := warned(); !strings.Contains(got, "from the cache") {
		t.Errorf("warned %q", got)
	}
}

func TestRegistryCredentials(t *testing.T) {
	env, _ := newEnv(t)
	r := newRegistry(t, map[string][]byte{"1.0.0": app("1.0.0").Pack(t)})
	r.password = "sesame"
	s := Source{Chart: "oci://" + strings.TrimPrefix(r.URL, "http://") + "/charts/app", Version: "1.0.0"}
	_, err := Fetch(t.Context(), env, s)
	if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "username and password") {
		t.Errorf("without credentials: error %v, hint %q", err, engine.HintOf(err))
	}
	s.Username, s.Password = "me", engine.NewSecret("sesame")
	if _, err := Fetch(t.Context(), anotherRun(env), s); err != nil {
		t.Errorf("with credentials: %v", err)
	}
}
