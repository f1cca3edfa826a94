package release

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	helmrelease "helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// The newest revision counts, by its number and not by its name; whether the next
// operation is an upgrade is decided by all of them.
func TestReadTheNewestRevision(t *testing.T) {
	type revision struct {
		n      int
		status helmrelease.Status
	}
	s := newScene(t)
	s.stores("application", 99, helmrelease.StatusDeployed)
	for name, c := range map[string]struct {
		stored []revision
		want   int // 0 for no release
		ever   bool
	}{
		"app":         {nil, 0, false},
		"deployed":    {[]revision{{1, helmrelease.StatusDeployed}}, 1, true},
		"failed":      {[]revision{{1, helmrelease.StatusFailed}}, 1, false},
		"cut-off":     {[]revision{{1, helmrelease.StatusPendingInstall}}, 1, false},
		"digits":      {[]revision{{9, helmrelease.StatusDeployed}, {10, helmrelease.StatusPendingUpgrade}, {8, helmrelease.StatusSuperseded}}, 10, true},
		"older":       {[]revision{{1, helmrelease.StatusSuperseded}, {2, helmrelease.StatusFailed}}, 2, true},
		"again":       {[]revision{{1, helmrelease.StatusFailed}, {2, helmrelease.StatusFailed}}, 2, false},
		"uninstalled": {[]revision{{1, helmrelease.StatusUninstalled}}, 1, false},
	} {
		for _, r := range c.stored {
			s.stores(name, r.n, r.status)
		}
		got, err := Read(t.Context(), s.cluster, s.namespace, name)
		if err != nil {
			t.Fatal(err)
		}
		if c.want == 0 {
			if got != nil {
				t.Errorf("%s: got %+v", name, got)
			}
			continue
		}
		if got == nil || got.Revision != c.want || got.EverDeployed != c.ever || got.Namespace != s.namespace || got.Name != name {
			t.Errorf("%s: got %+v, want revision %d, ever deployed %v", name, got, c.want, c.ever)
			continue
		}
		if got.Chart != "app" || got.Version != "1.0.0" || got.AppVersion != "7" || got.Values["revision"] != float64(c.want) {
			t.Errorf("%s: got %+v", name, got)
		}
		if w := got.Watch(); w.Ref.Name != fmt.Sprintf("sh.helm.release.v1.%s.v%d", name, c.want) || w.Ref.Namespace != s.namespace || w.ResourceVersion == "" {
			t.Errorf("%s: it watches %+v", name, w)
		}
	}
}

// A revision that another client removes between two requests is no error.
func TestReadWhatIsPruned(t *testing.T) {
	s := newScene(t)
	s.stores("app", 1, helmrelease.StatusDeployed)
	const secret = "sh.helm.release.v1.app.v1"
	var asked atomic.Int32
	env := labtest.Through(t, s.env, func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/secrets/"+secret) && asked.Add(1) == 1 {
			s.stores("app", 2, helmrelease.StatusDeployed)
			if err := s.secrets().Delete(engine.AllowWrites(r.Context()), secret, metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		}
		return true
	})
	r, err := Read(t.Context(), s.connect(env), s.namespace, "app")
	if err != nil || r == nil || r.Revision != 2 || asked.Load() != 1 {
		t.Errorf("got %+v, %v after %d questions for the old one", r, err, asked.Load())
	}
}

// What cannot be read is an error, and not the absence of a release.
func TestReadWhatCannotBeRead(t *testing.T) {
	s := newScene(t)
	s.stores("app", 1, helmrelease.StatusDeployed)
	reader := s.connect(labtest.Reader(t, s.env, s.namespace, "configmaps"))
	if r, err := Read(t.Context(), reader, s.namespace, "app"); r != nil || err == nil || !strings.Contains(err.Error(), "release "+s.namespace+"/app") || !strings.Contains(err.Error(), "cannot list") {
		t.Errorf("who may not list: got %+v, %v", r, err)
	}
	s.put(`{apiVersion: v1, kind: Secret, metadata: {name: sh.helm.release.v1.app.v2, labels: {owner: helm, name: app, version: "2", status: deployed}}, data: {release: dGV4dA==}}`)
	want := "release " + s.namespace + "/app: secret sh.helm.release.v1.app.v2 holds no release"
	if r, err := Read(t.Context(), s.cluster, s.namespace, "app"); r != nil || !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), want) || engine.HintOf(err) == "" {
		t.Errorf("what is no release: got %+v, %v, hint %q", r, err, engine.HintOf(err))
	}
}

func TestIncompleteReleases(t *testing.T) {
	for name, stored := range map[string]*helmrelease.Release{
		"no chart":    {Info: &helmrelease.Info{}},
		"no metadata": {Info: &helmrelease.Info{}, Chart: &chart.Chart{}},
		"no state":    {Chart: &chart.Chart{Metadata: &chart.Metadata{}}},
	} {
		if _, err := New(stored, metav1.ObjectMeta{Name: "it"}); !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "secret it holds an incomplete release") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// An object that the cluster lacks is made again where it was, and only by an edit.
func TestMissingElsewhere(t *testing.T) {
	s := newScene(t)
	far := labtest.Namespace(t, s.env)
	extra := s.namespace + "-extra"
	t.Cleanup(func() { labtest.DeleteNamespace(t, s.env, extra) })
	texts := map[string]string{
		"ConfigMap/" + s.namespace + "/gone": "{apiVersion: v1, kind: ConfigMap, metadata: {name: gone}}",
		"ConfigMap/" + far + "/far":          "{apiVersion: v1, kind: ConfigMap, metadata: {name: far, namespace: " + far + ", labels: {a: b}, annotations: {c: d}}}",
		"Namespace/" + extra:                 "{apiVersion: v1, kind: Namespace, metadata: {name: " + extra + "}}",
	}
	all := []string{"{apiVersion: v1, kind: ConfigMap, metadata: {name: there}}"}
	s.put(all[0])
	for _, text := range texts {
		all = append(all, text)
	}
	edits := s.deployed("app", all...).Missing()
	if len(edits) != len(texts) {
		t.Errorf("misses %v", edits)
	}
	for _, e := range edits {
		if err := e.Apply(t.Context()); !errors.Is(err, kubekit.ErrReadOnly) {
			t.Errorf("%s outside an edit: %v", e.Path, err)
		}
		if err := e.Apply(engine.AllowWrites(t.Context())); err != nil {
			t.Errorf("%s: %v", e.Path, err)
		}
		o := s.get(texts[e.Path])
		if o == nil || o.GetLabels()["app.kubernetes.io/managed-by"] != "Helm" || o.GetAnnotations()["meta.helm.sh/release-name"] != "app" ||
			o.GetAnnotations()["meta.helm.sh/release-namespace"] != s.namespace || e.Path == "ConfigMap/"+far+"/far" && (o.GetLabels()["a"] != "b" || o.GetAnnotations()["c"] != "d") {
			t.Errorf("%s is made as %v", e.Path, o)
		}
	}
}
