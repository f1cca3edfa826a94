package chart

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// layered serves charts/app with one manifest, and one text for each of its layers.
func layered(t *testing.T, layers []map[string]any, blob []byte) Source {
	t.Helper()
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": "sha256:" + evidence.Digest(nil), "size": 0},
		"layers": layers,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			_, _ = w.Write(blob)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", "sha256:"+evidence.Digest(manifest))
		_, _ = w.Write(manifest)
	}))
	t.Cleanup(s.Close)
	return Source{Repo: "oci://" + strings.TrimPrefix(s.URL, "http://") + "/charts", Chart: "app", Version: "1.0.0"}
}

// What a registry sends is the chart only if it has the digest of the manifest's layer,
// and nothing else is kept.
func TestLayersOfARegistry(t *testing.T) {
	archive := app("1.0.0").Pack(t)
	layer := func(kind string, size int, of []byte) map[string]any {
		return map[string]any{"mediaType": kind, "digest": "sha256:" + evidence.Digest(of), "size": size}
	}
	large := append(archive[:len(archive):len(archive)], make([]byte, 40<<20)...) // behind the end of the archive
	other := append([]byte(nil), archive...)
	other[len(other)-1] ^= 1
	for name, c := range map[string]struct {
		layers []map[string]any
		blob   []byte
		want   string // a part of the permanent error; "" for a chart
		hint   string
	}{
		"a chart":                 {[]map[string]any{layer(chartLayer, len(archive), archive)}, archive, "", ""},
		"of an old kind":          {[]map[string]any{layer(legacyChartLayer, len(archive), archive)}, archive, "", ""},
		"behind its provenance":   {[]map[string]any{layer("application/vnd.cncf.helm.chart.provenance.v1.prov", 1, []byte("x")), layer(chartLayer, len(archive), archive)}, archive, "", ""},
		"one that was changed":    {[]map[string]any{layer(chartLayer, len(archive), archive)}, other, "does not have the digest that the registry states", "do not install it"},
		"an image":                {[]map[string]any{layer("application/vnd.oci.image.layer.v1.tar+gzip", 1, []byte("x"))}, nil, "an image but not a Helm chart", ""},
		"nothing":                 {nil, nil, "an image but not a Helm chart", ""},
		"a large one":             {[]map[string]any{layer(chartLayer, len(large), large)}, large, "", ""},
		"one that is too large":   {[]map[string]any{layer(chartLayer, maxArchive+1, archive)}, archive, "larger than 64 MiB", ""},
		"what is no chart at all": {[]map[string]any{layer(chartLayer, 4, []byte("text"))}, []byte("text"), "chart oci://", ""},
	} {
		t.Run(name, func(t *testing.T) {
			env, _ := newEnv(t)
			s := layered(t, c.layers, c.blob)
			got, err := Fetch(t.Context(), env, s)
			if c.want == "" {
				if err != nil || got.Version != "1.0.0" {
					t.Fatalf("chart %v, error %v", got, err)
				}
				return
			}
			if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), c.want) || !strings.Contains(engine.HintOf(err), c.hint) {
				t.Errorf("permanent %v: %v, hint %q", errors.Is(err, engine.ErrPermanent), err, engine.HintOf(err))
			}
			if c := Cached(env, s); c != nil {
				t.Errorf("the cache has %s", c.Title())
			}
		})
	}
}

// A registry that refuses is believed, also where the cache has the chart; one that has
// other worries is not.
func TestAnswersOfARegistry(t *testing.T) {
	for status, c := range map[int]struct {
		permanent, cached bool
	}{
		http.StatusForbidden:           {true, false},
		http.StatusTeapot:              {true, false},
		http.StatusTooManyRequests:     {false, true},
		http.StatusInternalServerError: {false, true},
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			env, warned := newEnv(t)
			s, answer := moody(t, newRegistry(t, map[string][]byte{"1.0.0": app("1.0.0").Pack(t)}))
			source := Source{Repo: "oci://" + strings.TrimPrefix(s.URL, "http://") + "/charts", Chart: "app", Version: "1.0.0"}
			if _, err := Fetch(t.Context(), env, source); err != nil {
				t.Fatal(err)
			}
			answer.Store(int32(status))
			_, err := Fetch(t.Context(), anotherRun(env), source)
			if (err == nil) != c.cached || strings.Contains(warned(), "from the cache") != c.cached {
				t.Errorf("with a cache: %v, warned %q", err, warned())
			}
			empty := anotherRun(env)
			empty.CacheDir = t.TempDir()
			if _, err = Fetch(t.Context(), empty, source); err == nil || errors.Is(err, engine.ErrPermanent) != c.permanent {
				t.Errorf("without one: %v", err)
			}
		})
	}
}

// An address with a tag or without a path is not the address of a chart.
func TestAddressesThatAreNone(t *testing.T) {
	for _, address := range []string{"oci://registry.example.com", "oci://registry.example.com/UPPER/app"} {
		env, _ := newEnv(t)
		_, err := Fetch(t.Context(), env, Source{Chart: address, Version: "1.0.0"})
		if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "oci://HOST/PATH/CHART") {
			t.Errorf("%s: %v, hint %q", address, err, engine.HintOf(err))
		}
	}
}
