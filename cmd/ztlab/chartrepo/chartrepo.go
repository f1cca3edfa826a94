// Package chartrepo serves Helm chart repositories on loopback in place of
// upstream's, so that a plan that names upstream's URLs, charts and versions
// runs without a network: only where a URL resolves to differs.
//
// A repository is a path of one HTTP server: index.yaml and the archives beside
// it, as https://helm.sh/docs/topics/chart_repository/ describes. The same
// charts are offered by the OCI distribution protocol for the repositories that
// upstream publishes there. Repositories whose name begins with evidence/ take writes:
// fleets push their evidence there. They are empty when the server starts.
package chartrepo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/charts"
)

// A repository is one of upstream's, with the one that stands in its place.
type repository struct {
	upstream string   // URL, as a plan names it
	path     string   // below the server's root; for OCI the repository's prefix
	charts   []string // names of the charts that live there
}

// repositories are the ones that the guide uses.
var repositories = []repository{
	{"https://apache.github.io/apisix-helm-chart", "/apisix", []string{"apisix", "apisix-ingress-controller"}},
	{"https://charts.jetstack.io", "/jetstack", []string{"cert-manager"}},
	{"https://helm.releases.hashicorp.com", "/hashicorp", []string{"vault"}},
	{"oci://quay.io/jetstack/charts", "/jetstack/charts", []string{"cert-manager"}},
}

// isOCI reports whether the repository is read by the OCI distribution protocol.
func (r repository) isOCI() bool { return strings.HasPrefix(r.upstream, "oci://") }

// Options select the charts to serve.
type Options struct {
	// ChartsDir is a directory of packaged charts (*.tgz). A chart found there
	// is served as it is, and replaces every version of the lab's chart of that
	// name. "" serves the lab's charts only.
	ChartsDir string
	// Logf receives one line for each thing that the user should know. It may
	// be nil.
	Logf func(format string, args ...any)
}

// A Server serves the repositories until it is closed.
type Server struct {
	http    *http.Server
	address string
	served  chan struct{} // closed when the listener is
	archive []charts.Archive
}

// Serve starts serving on a free port of 127.0.0.1. The server is closed when
// ctx ends, or by [Server.Close].
func Serve(ctx context.Context, options Options) (*Server, error) {
	logf := options.Logf
	if logf == nil {
		logf = func(string, ...any) {}
	}
	archives, err := collect(options.ChartsDir, logf)
	if err != nil {
		return nil, fmt.Errorf("chart repositories: %w", err)
	}
	handler, err := newHandler(archives)
	if err != nil {
		return nil, fmt.Errorf("chart repositories: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("chart repositories: %w", err)
	}
	server := &Server{
		http:    &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second},
		address: listener.Addr().String(),
		served:  make(chan struct{}),
		archive: archives,
	}
	go func() {
		defer close(server.served)
		if err := server.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logf("chart repositories: %v", err)
		}
	}()
	context.AfterFunc(ctx, func() { server.http.Close() })
	return server, nil
}

// Mirrors maps each upstream repository's URL to the one that stands in its
// place. An oci:// mirror is plain HTTP.
func (s *Server) Mirrors() map[string]string {
	mirrors := make(map[string]string, len(repositories))
	for _, r := range repositories {
		scheme := "http://"
		if r.isOCI() {
			scheme = "oci://"
		}
		mirrors[r.upstream] = scheme + s.address + r.path
	}
	return mirrors
}

// Close stops serving and waits until the port is free.
func (s *Server) Close() error {
	err := s.http.Close()
	<-s.served
	return err
}

// collect returns the archives to serve: those in dir, and the lab's of the
// names that dir does not have.
func collect(dir string, logf func(string, ...any)) ([]charts.Archive, error) {
	archives, err := readDir(dir)
	if err != nil {
		return nil, err
	}
	given := map[string]bool{}
	for _, a := range archives {
		if !given[a.Name] {
			logf("chart %s %s: upstream's own, from %s", a.Name, a.Version, dir)
		}
		given[a.Name] = true
	}
	own, err := charts.Lab()
	if err != nil {
		return nil, err
	}
	if !given["cert-manager"] {
		certManager, err := charts.CertManager()
		switch {
		case errors.Is(err, charts.ErrNotPackaged):
			logf("chart cert-manager is not served: %v", err)
		case err != nil:
			return nil, err
		default:
			own = append(own, certManager)
		}
	}
	for _, a := range own {
		if !given[a.Name] {
			archives = append(archives, a)
		}
	}
	slices.SortStableFunc(archives, func(a, b charts.Archive) int {
		if byName := strings.Compare(a.Name, b.Name); byName != 0 {
			return byName
		}
		return compareVersions(b.Version, a.Version)
	})
	return archives, nil
}

// readDir reads the packaged charts in dir.
func readDir(dir string) ([]charts.Archive, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var archives []charts.Archive
	seen := map[string]string{} // file name a repository gives it -> file
	for _, entry := range entries {
		if entry.IsDir() || filepath.Ext(entry.Name()) != ".tgz" {
			continue
		}
		file := filepath.Join(dir, entry.Name())
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		archive, err := charts.Read(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if other, ok := seen[archive.FileName()]; ok {
			return nil, fmt.Errorf("%s and %s are both %s %s: remove one", other, file, archive.Name, archive.Version)
		}
		seen[archive.FileName()] = file
		archives = append(archives, archive)
	}
	if len(archives) == 0 {
		return nil, fmt.Errorf("%s holds no packaged chart (*.tgz): put upstream's there with 'helm pull', or leave --charts out", dir)
	}
	return archives, nil
}

// in returns the archives that a repository offers: its own charts, and those
// that belong to none of the repositories.
func (r repository) in(archives []charts.Archive) []charts.Archive {
	owned := map[string]bool{}
	for _, other := range repositories {
		for _, name := range other.charts {
			owned[name] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(archives), func(a charts.Archive) bool {
		return owned[a.Name] && !slices.Contains(r.charts, a.Name)
	})
}

// evidencePath begins the names of the repositories that take writes.
const evidencePath = "evidence"

// newHandler serves every repository.
func newHandler(archives []charts.Archive) (http.Handler, error) {
	mux := http.NewServeMux()
	registry := newRegistry()
	for _, r := range repositories {
		offered := r.in(archives)
		if r.isOCI() {
			if err := registry.add(strings.TrimPrefix(r.path, "/"), offered); err != nil {
				return nil, err
			}
			continue
		}
		index, err := indexOf(offered)
		if err != nil {
			return nil, err
		}
		mux.HandleFunc("GET "+r.path+"/index.yaml", serveBytes("application/yaml", index))
		for _, a := range offered {
			mux.HandleFunc("GET "+r.path+"/"+a.FileName(), serveBytes("application/gzip", a.Data))
		}
	}
	mux.Handle("GET /v2/", registry)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
		mux.Handle(method+" /v2/"+evidencePath+"/", registry)
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		paths := map[string]string{}
		for _, r := range repositories {
			paths[r.upstream] = r.path
		}
		for _, upstream := range slices.Sorted(maps.Keys(paths)) {
			fmt.Fprintf(w, "%s\tfor %s\n", paths[upstream], upstream)
		}
	})
	return named(mux), nil
}

// named adds a Server header to every answer: this is not upstream's server.
func named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "chart-repository-stand-in (ztlab)")
		next.ServeHTTP(w, r)
	})
}

func serveBytes(contentType string, data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Write(data)
	}
}
