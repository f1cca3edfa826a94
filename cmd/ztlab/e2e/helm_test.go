package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	hooks "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"helm.sh/helm/v3/pkg/repo"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// A release is a chart of a public repository and how to install it.
type release struct {
	repo, chart, version string
	name, namespace      string
	values               string // YAML
}

// install renders a chart of the lab's mirror as Helm does, creates its
// objects in Helm's order, and then the hooks that run after an installation.
func (l *lab) install(t *testing.T, r release) {
	t.Helper()
	c := l.fetch(t, r)
	values := map[string]any{}
	if err := yaml.Unmarshal([]byte(r.values), &values); err != nil {
		t.Fatal(err)
	}
	if err := chartutil.ProcessDependenciesWithMerge(c, values); err != nil {
		t.Fatal(err)
	}
	capabilities := *chartutil.DefaultCapabilities
	version, err := l.api.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	capabilities.KubeVersion = chartutil.KubeVersion{Version: version.GitVersion, Major: version.Major, Minor: version.Minor}
	options := chartutil.ReleaseOptions{Name: r.name, Namespace: r.namespace, IsInstall: true, Revision: 1}
	render, err := chartutil.ToRenderValues(c, values, options, &capabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Engine{}.Render(c, render)
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(files, name)
		}
	}
	after, manifests, err := releaseutil.SortManifests(files, capabilities.APIVersions, releaseutil.InstallOrder)
	if err != nil {
		t.Fatal(err)
	}
	l.apply(t, r.namespace, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", r.namespace))
	for _, crd := range c.CRDObjects() {
		l.apply(t, r.namespace, string(crd.File.Data))
	}
	for _, m := range manifests {
		l.apply(t, r.namespace, m.Content)
	}
	for _, h := range after {
		if slices.Contains(h.Events, hooks.HookPostInstall) {
			l.apply(t, r.namespace, h.Manifest)
		}
	}
}

// fetch downloads a chart through the repository's index.
func (l *lab) fetch(t *testing.T, r release) *chart.Chart {
	t.Helper()
	mirror := l.status(t).Mirrors[r.repo]
	if mirror == "" {
		t.Fatalf("the lab has no mirror of %s", r.repo)
	}
	index := new(repo.IndexFile)
	if err := yaml.Unmarshal(get(t, mirror+"/index.yaml"), index); err != nil {
		t.Fatal(err)
	}
	entry, err := index.Get(r.chart, r.version)
	if err != nil {
		t.Fatal(err)
	}
	url, err := repo.ResolveReferenceURL(mirror, entry.URLs[0])
	if err != nil {
		t.Fatal(err)
	}
	c, err := loader.LoadArchive(bytes.NewReader(get(t, url)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	return data
}

// apply applies every document of a manifest by server-side apply. A kind that
// is not served yet is tried again: its CRD was applied a moment ago.
func (l *lab) apply(t *testing.T, namespace, manifest string) {
	t.Helper()
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(manifest), 4096)
	for {
		object := new(unstructured.Unstructured)
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, manifest)
		}
		if len(object.Object) == 0 {
			continue
		}
		waitFor(t, object.GetKind()+" "+object.GetName()+" is applied", func() bool {
			err := l.applyObject(t, namespace, object)
			switch {
			case err == nil:
				return true
			case meta.IsNoMatchError(err), apierrors.IsNotFound(err), apierrors.IsInternalError(err):
				return false // a CRD or a webhook that is not there yet
			}
			t.Fatalf("apply %s %s: %v", object.GetKind(), object.GetName(), err)
			return false
		})
	}
}

func (l *lab) applyObject(t *testing.T, namespace string, object *unstructured.Unstructured) error {
	t.Helper()
	client, err := dynamic.NewForConfig(l.config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(l.api.Discovery()))
	kind := object.GroupVersionKind()
	mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return err
	}
	var resource dynamic.ResourceInterface = client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		if object.GetNamespace() != "" {
			namespace = object.GetNamespace()
		}
		resource = client.Resource(mapping.Resource).Namespace(namespace)
	}
	_, err = resource.Apply(t.Context(), object.GetName(), object, metav1.ApplyOptions{FieldManager: "e2e", Force: true})
	return err
}
