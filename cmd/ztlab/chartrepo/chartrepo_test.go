package chartrepo_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/repo"

	"github.com/ztplan/ztplan/cmd/ztlab/chartrepo"
	"github.com/ztplan/ztplan/cmd/ztlab/charts"
)

func serve(t *testing.T, options chartrepo.Options) *chartrepo.Server {
	t.Helper()
	server, err := chartrepo.Serve(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

// index reads a repository's index with Helm's own client.
func index(t *testing.T, url string) *repo.IndexFile {
	t.Helper()
	settings := cli.New()
	client, err := repo.NewChartRepository(&repo.Entry{Name: "lab", URL: url}, getter.All(settings))
	if err != nil {
		t.Fatal(err)
	}
	client.CachePath = t.TempDir()
	file, err := client.DownloadIndexFile()
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := repo.LoadIndexFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", url, response.Status)
	}
	return body
}

func packaged(t *testing.T) charts.Archive {
	t.Helper()
	archive, err := charts.CertManager()
	if err != nil {
		t.Skip(err)
	}
	return archive
}

// The pinned versions of plans/lab.yaml, asked for and read as Helm does.
func TestRepositoriesServePinnedCharts(t *testing.T) {
	server := serve(t, chartrepo.Options{})
	certManager := packaged(t)
	for _, c := range []struct{ url, chart, version, app string }{
		{"https://apache.github.io/apisix-helm-chart", "apisix", "2.14.0", "3.16.0"},
		{"https://helm.releases.hashicorp.com", "vault", "0.31.0", "1.20.4"},
		{"https://charts.jetstack.io", "cert-manager", certManager.Version, certManager.Version},
	} {
		t.Run(c.chart, func(t *testing.T) {
			url := server.Mirrors()[c.url]
			entry, err := index(t, url).Get(c.chart, c.version)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := entry.AppVersion, c.app; got != want {
				t.Errorf("appVersion = %s, want %s", got, want)
			}
			archive := get(t, url+"/"+entry.URLs[0])
			loaded, err := loader.LoadArchive(strings.NewReader(string(archive)))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := loaded.Metadata.Version, c.version; got != want {
				t.Errorf("version in the archive = %s, want %s", got, want)
			}
		})
	}
}

// A range picks the newest version, so the index must be in order.
func TestIndexIsNewestFirst(t *testing.T) {
	server := serve(t, chartrepo.Options{})
	entries := index(t, server.Mirrors()["https://apache.github.io/apisix-helm-chart"]).Entries
	var got []string
	for _, entry := range entries["apisix"] {
		got = append(got, entry.Version)
	}
	want := []string{"2.14.0", "2.13.0", "2.12.5", "2.12.4"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"apisix"}, slices.Sorted(maps.Keys(entries))); diff != "" {
		t.Errorf("charts (-want +got):\n%s", diff)
	}
}

func TestMissingVersion(t *testing.T) {
	server := serve(t, chartrepo.Options{})
	if _, err := index(t, server.Mirrors()["https://helm.releases.hashicorp.com"]).Get("vault", "9.9.9"); err == nil {
		t.Error("version 9.9.9 of vault was found")
	}
}

func TestRegistry(t *testing.T) {
	certManager := packaged(t)
	server := serve(t, chartrepo.Options{})
	client, err := registry.NewClient(registry.ClientOptPlainHTTP(), registry.ClientOptWriter(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	reference := strings.TrimPrefix(server.Mirrors()["oci://quay.io/jetstack/charts"], "oci://") + "/cert-manager"
	host, name, _ := strings.Cut(reference, "/")
	list := strings.TrimSpace(string(get(t, "http://"+host+"/v2/"+name+"/tags/list")))
	if want := `{"name":"` + name + `","tags":["` + certManager.Version + `"]}`; list != want {
		t.Errorf("tags = %s, want %s", list, want)
	}
	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+"/v2/"+name+"/manifests/"+certManager.Version, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s, want 405: the registry is read-only", method, response.Status)
		}
	}
	pulled, err := client.Pull(reference + ":" + certManager.Version)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := pulled.Chart.Meta.Name, "cert-manager"; got != want {
		t.Errorf("name = %s, want %s", got, want)
	}
	if !slices.Equal(pulled.Chart.Data, certManager.Data) {
		t.Error("the pulled archive is not the packaged one")
	}
	if _, err := client.Pull(reference + ":v0.0.1"); err == nil {
		t.Error("v0.0.1 was pulled")
	}
}

// A chart in --charts replaces the lab's of its name, and no other.
func TestChartsDir(t *testing.T) {
	dir := t.TempDir()
	own := os.DirFS(filepath.Join("testdata", "vault"))
	data, err := charts.Pack(own, "vault")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "any-name.tgz"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	server := serve(t, chartrepo.Options{ChartsDir: dir})
	got := map[string][]string{}
	for _, c := range server.Charts() {
		got[c.Name] = append(got[c.Name], c.Version)
	}
	if diff := cmp.Diff([]string{"0.99.0"}, got["vault"]); diff != "" {
		t.Errorf("vault's versions (-want +got):\n%s", diff)
	}
	if len(got["apisix"]) == 0 {
		t.Error("the lab's apisix chart is gone")
	}
	url := server.Mirrors()["https://helm.releases.hashicorp.com"]
	if !slices.Equal(get(t, url+"/vault-0.99.0.tgz"), data) {
		t.Error("the archive is not served as it was given")
	}
}

func TestChartsDirErrors(t *testing.T) {
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "x.tgz"), []byte("no chart"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, dir, want string }{
		{"missing", filepath.Join(broken, "none"), "no such file"},
		{"empty", t.TempDir(), "holds no packaged chart"},
		{"broken", broken, "x.tgz: not a packaged chart"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := chartrepo.Serve(t.Context(), chartrepo.Options{ChartsDir: c.dir})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestServerEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server, err := chartrepo.Serve(ctx, chartrepo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	url := server.Mirrors()["https://charts.jetstack.io"] + "/index.yaml"
	get(t, url)
	cancel()
	server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Error("the port still answers")
	}
}
