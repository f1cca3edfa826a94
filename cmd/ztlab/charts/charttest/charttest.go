// Package charttest renders charts for tests, with Helm's own engine.
package charttest

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/cmd/ztlab/charts"
)

// kubeVersion is the Kubernetes version that charts are rendered for.
var kubeVersion = chartutil.KubeVersion{Version: "v1.36.3", Major: "1", Minor: "36"}

// lab packages the lab's charts once for all tests of a package.
var lab = sync.OnceValues(charts.Lab)

// Find returns the lab's chart of that name and version.
func Find(t testing.TB, name, version string) charts.Archive {
	t.Helper()
	all, err := lab()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(a charts.Archive) bool { return a.Name == name && a.Version == version })
	if i < 0 {
		t.Fatalf("the lab has no chart %s %s", name, version)
	}
	return all[i]
}

func load(t testing.TB, archive charts.Archive) *chart.Chart {
	t.Helper()
	loaded, err := loader.LoadArchive(bytes.NewReader(archive.Data))
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// Render installs a chart as far as Helm can without a cluster, and returns its
// objects, hooks included, in the order of installation. A failure of the
// chart's is returned; everything else ends the test.
func Render(t testing.TB, archive charts.Archive, release, namespace, values string) ([]*unstructured.Unstructured, error) {
	t.Helper()
	loaded := load(t, archive)
	var given map[string]any
	if err := yaml.Unmarshal([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	if given == nil {
		given = map[string]any{}
	}
	if err := chartutil.ProcessDependencies(loaded, given); err != nil {
		t.Fatal(err)
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = kubeVersion
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, IsInstall: true, Revision: 1}
	rendered, err := chartutil.ToRenderValues(loaded, given, options, capabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(loaded, rendered)
	if err != nil {
		return nil, err
	}
	for name := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(files, name)
		}
	}
	hooks, manifests, err := releaseutil.SortManifests(files, capabilities.APIVersions, releaseutil.InstallOrder)
	if err != nil {
		t.Fatal(err)
	}
	var objects []*unstructured.Unstructured
	for _, m := range manifests {
		objects = append(objects, parse(t, m.Content))
	}
	for _, h := range hooks {
		objects = append(objects, parse(t, h.Manifest))
	}
	return objects, nil
}

// MustRender is [Render] of a chart that renders.
func MustRender(t testing.TB, archive charts.Archive, release, namespace, values string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := Render(t, archive, release, namespace, values)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// CRDs returns the objects in the crds directories of a chart and of those
// below it.
func CRDs(t testing.TB, archive charts.Archive) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, crd := range load(t, archive).CRDObjects() {
		for document := range strings.SplitSeq(string(crd.File.Data), "\n---\n") {
			if object := parse(t, document); object.GetKind() != "" { // not a comment alone
				objects = append(objects, object)
			}
		}
	}
	return objects
}

// Values returns a chart's own values, those of the charts below it under their
// names or aliases, as 'helm show values' and a values file see them.
func Values(t testing.TB, archive charts.Archive) map[string]any {
	t.Helper()
	loaded := load(t, archive)
	if err := chartutil.ProcessDependencies(loaded, map[string]any{
		"ingress-controller": map[string]any{"enabled": true},
	}); err != nil {
		t.Fatal(err)
	}
	values, err := chartutil.CoalesceValues(loaded, map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func parse(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return object
}
