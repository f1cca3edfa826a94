package release

import (
	"fmt"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	helmrelease "helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// A scene is a namespace of the lab and a step that looks at releases in it. In all its
// texts NS stands for the namespace.
type scene struct {
	t         *testing.T
	env       *engine.Env
	cluster   *kubekit.Cluster
	namespace string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	env := labtest.Env(t)
	s := &scene{t: t, env: env, namespace: labtest.Namespace(t, env)}
	s.cluster = s.connect(env)
	return s
}

func (s *scene) connect(env *engine.Env) *kubekit.Cluster {
	s.t.Helper()
	cluster, err := kubekit.Connect(s.t.Context(), env)
	if err != nil {
		s.t.Fatal(err)
	}
	return cluster
}

func (s *scene) here(text string) string { return strings.ReplaceAll(text, "NS", s.namespace) }

// object returns the object of a text, with the namespace of the scene unless it has none
// or another.
func (s *scene) object(text string) (*unstructured.Unstructured, kubekit.Ref) {
	s.t.Helper()
	o := object(s.t, s.here(text))
	ref := manifest.RefIn(s.cluster.Mapper(), o, s.namespace)
	o.SetNamespace(ref.Namespace)
	return o, ref
}

// put makes objects, or writes them over those that are there, as kubectl-edit.
func (s *scene) put(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		o, ref := s.object(text)
		resource, err := s.cluster.Resource(ref.GVK(), ref.Namespace)
		if err != nil {
			s.t.Fatal(err)
		}
		ctx := engine.AllowWrites(s.t.Context())
		if live := s.get(text); live != nil {
			o.SetResourceVersion(live.GetResourceVersion())
			_, err = resource.Update(ctx, o, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
		} else {
			_, err = resource.Create(ctx, o, metav1.CreateOptions{FieldManager: "kubectl-edit"})
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
}

// get reads the object of a text as it is there, nil if it is not.
func (s *scene) get(text string) *unstructured.Unstructured {
	s.t.Helper()
	_, ref := s.object(text)
	read, err := s.cluster.Read(s.t.Context(), ref)
	if err != nil {
		s.t.Fatal(err)
	}
	return read[0]
}

func (s *scene) remove(text string) {
	s.t.Helper()
	_, ref := s.object(text)
	resource, err := s.cluster.Resource(ref.GVK(), ref.Namespace)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := resource.Delete(engine.AllowWrites(s.t.Context()), ref.Name, metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) secrets() typedcorev1.SecretInterface {
	s.t.Helper()
	client, err := typedcorev1.NewForConfig(ConfigFor(engine.AllowWrites(s.t.Context()), s.cluster))
	if err != nil {
		s.t.Fatal(err)
	}
	return client.Secrets(s.namespace)
}

// stores a revision as Helm does.
func (s *scene) stores(name string, revision int, status helmrelease.Status, texts ...string) {
	s.t.Helper()
	err := Store(s.secrets()).Create(&helmrelease.Release{
		Name: name, Namespace: s.namespace, Version: revision, Manifest: s.here(strings.Join(texts, "\n---\n")), Config: map[string]any{"revision": revision},
		Chart: &chart.Chart{Metadata: &chart.Metadata{Name: "app", Version: "1.0.0", AppVersion: "7"}},
		Info:  &helmrelease.Info{Status: status, Description: fmt.Sprint(status)},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// state looks at a release, as env may.
func (s *scene) state(env *engine.Env, name string) *State {
	s.t.Helper()
	cluster := s.connect(env)
	r, err := Read(s.t.Context(), cluster, s.namespace, name)
	if err != nil || r == nil {
		s.t.Fatalf("release %s: %v, %v", name, r, err)
	}
	st, err := r.Look(s.t.Context(), env, cluster)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// deployed stores a release of which texts are the manifest, and looks at it.
func (s *scene) deployed(name string, texts ...string) *State {
	s.t.Helper()
	s.stores(name, 1, helmrelease.StatusDeployed, texts...)
	return s.state(s.env, name)
}

// changed is what a look finds changed, by path.
func (s *scene) changed(name string) map[string]engine.Edit {
	s.t.Helper()
	edits, err := s.state(s.env, name).Changed(s.t.Context(), s.env)
	if err != nil {
		s.t.Fatal(err)
	}
	found := map[string]engine.Edit{}
	for _, e := range edits {
		found[strings.ReplaceAll(e.Path, s.namespace, "NS")] = e
	}
	return found
}
