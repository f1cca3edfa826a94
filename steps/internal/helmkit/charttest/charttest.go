// Package charttest makes charts and serves them, for tests.
package charttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A Chart is a chart as text. Files are below the chart's folder:
// "templates/configmap.yaml", "crds/widgets.yaml", "charts/sub/Chart.yaml".
type Chart struct {
	Name, Version, AppVersion string
	Values                    string            // values.yaml
	Meta                      string            // further lines of Chart.yaml
	Files                     map[string]string // everything else
}

// Pack returns the chart as helm package would.
func (c Chart) Pack(t testing.TB) []byte {
	t.Helper()
	files := map[string]string{
		"Chart.yaml":  fmt.Sprintf("apiVersion: v2\nname: %s\nversion: %s\nappVersion: %q\n%s", c.Name, c.Version, c.AppVersion, c.Meta),
		"values.yaml": c.Values,
	}
	maps.Copy(files, c.Files)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		text := files[name]
		if err := w.WriteHeader(&tar.Header{Name: c.Name + "/" + name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A Repository is a chart repository on a loopback port. Its charts may change
// while it runs.
type Repository struct {
	*httptest.Server

	// Base is put before the URLs in the index; empty makes them relative.
	Base string
	// Digest, if set, is the digest of every archive in the index.
	Digest string
	// Username and Password, if set, are asked for.
	Username, Password string

	mu       sync.Mutex
	charts   []Chart
	requests []string
	archives map[string][]byte
}

// Serve starts a repository with charts; it ends with the test.
func Serve(t testing.TB, charts ...Chart) *Repository {
	t.Helper()
	r := &Repository{archives: map[string][]byte{}}
	r.Add(t, charts...)
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// Add adds charts to the index.
func (r *Repository) Add(t testing.TB, charts ...Chart) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range charts {
		r.charts = append(r.charts, c)
		r.archives[c.Name+"-"+c.Version+".tgz"] = c.Pack(t)
	}
}

// Requests returns the paths that were asked for, and forgets them.
func (r *Repository) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.requests
	r.requests = nil
	return asked
}

// ServeHTTP serves the repository, and notes a request with credentials as "path auth".
func (r *Repository) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	note := req.URL.Path
	user, password, sent := req.BasicAuth()
	if sent {
		note += " auth"
	}
	r.requests = append(r.requests, note)
	if r.Username != "" && (user != r.Username || password != r.Password) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if strings.HasSuffix(req.URL.Path, "/index.yaml") {
		index := r.index()
		tag := `"` + sum(index) + `"`
		w.Header().Set("ETag", tag)
		if req.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(index)
		return
	}
	archive, ok := r.archives[req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]]
	if !ok {
		http.NotFound(w, req)
		return
	}
	_, _ = w.Write(archive)
}

func (r *Repository) index() []byte {
	entries := map[string][]map[string]any{}
	for _, c := range r.charts {
		file := c.Name + "-" + c.Version + ".tgz"
		digest := r.Digest
		if digest == "" {
			digest = sum(r.archives[file])
		}
		entries[c.Name] = append(entries[c.Name], map[string]any{
			"name": c.Name, "version": c.Version, "appVersion": c.AppVersion,
			"digest": digest, "urls": []string{r.Base + file},
		})
	}
	b, err := json.Marshal(map[string]any{"apiVersion": "v1", "entries": entries})
	if err != nil {
		panic(err)
	}
	return b
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
