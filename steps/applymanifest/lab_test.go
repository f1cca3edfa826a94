package applymanifest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// A fixture is a namespace of the test's own, and the step in it. The test goes on beside
// others: most of its time it waits for the lab.
type fixture struct {
	*testing.T
	env       *engine.Env
	cluster   *kubekit.Cluster
	namespace string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	t.Parallel()
	env := labtest.Env(t)
	cluster, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t, env, cluster, labtest.Namespace(t, env)}
}

// step returns a step with the text as its file m.yaml.
func (w *fixture) step(text string) *applymanifest.Spec {
	w.Helper()
	path := filepath.Join(w.TempDir(), "m.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	spec := applymanifest.Kind.New().(*applymanifest.Spec)
	spec.Files = []engine.File{{Name: "m.yaml", Path: path}}
	spec.Namespace = w.namespace
	return spec
}

func (w *fixture) look(spec *applymanifest.Spec) []engine.Edit {
	w.Helper()
	_, edits, err := spec.Inspect(w.Context(), w.env)
	if err != nil {
		w.Fatal(err)
	}
	return edits
}

// fails looks and returns the error.
func (w *fixture) fails(spec *applymanifest.Spec) error {
	w.Helper()
	_, _, err := spec.Inspect(w.Context(), w.env)
	if err == nil {
		w.Fatal("looking does not fail")
	}
	return err
}

// apply looks, applies all edits that can be applied, and returns them.
func (w *fixture) apply(spec *applymanifest.Spec) []engine.Edit {
	w.Helper()
	edits := w.look(spec)
	for _, e := range edits {
		if e.Apply == nil {
			continue
		}
		if err := e.Apply(engine.AllowWrites(w.Context())); err != nil {
			w.Fatalf("%s: %v", e.Path, err)
		}
	}
	return edits
}

// converge applies and waits until nothing differs.
func (w *fixture) converge(spec *applymanifest.Spec) {
	w.Helper()
	w.apply(spec)
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	for {
		edits := w.look(spec)
		if len(edits) == 0 {
			return
		}
		if edits[0].Await == nil {
			w.Fatalf("still differs: %v", edits[0])
		}
		if err := edits[0].Await(ctx); err != nil {
			w.Fatalf("%s: have %v: %v", edits[0].Path, edits[0].Have, err)
		}
	}
}

func wantPermanent(t *testing.T, err error, text, hint string) {
	t.Helper()
	t.Logf("%v\nhint: %s", err, engine.HintOf(err))
	if !errors.Is(err, engine.ErrPermanent) {
		t.Errorf("not permanent: %v", err)
	}
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got error\n%v\nwant it to contain\n%s", err, text)
	}
	if !strings.Contains(engine.HintOf(err), hint) {
		t.Errorf("got hint\n%s\nwant it to contain\n%s", engine.HintOf(err), hint)
	}
}

func TestEditShowsOnlyWhatDiffers(t *testing.T) {
	w := newFixture(t)
	const text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: \"1\", %s}\n"
	created := w.apply(w.step(fmt.Sprintf(text, "b: old")))
	path := "ConfigMap/" + w.namespace + "/a"
	if d := cmp.Diff(map[string]any{"data/x": "1", "data/b": "old"}, created[0].Want); created[0].Path != path || created[0].Have != nil || d != "" {
		t.Errorf("creating: %s has %v, -want +got:\n%s", created[0].Path, created[0].Have, d)
	}
	changed := w.look(w.step(fmt.Sprintf(text, "c: new")))
	if len(changed) != 1 {
		t.Fatalf("got %d edits", len(changed))
	}
	if d := cmp.Diff(map[string]any{"data/b": "old"}, changed[0].Have); d != "" {
		t.Errorf("have: -want +got:\n%s", d)
	}
	if d := cmp.Diff(map[string]any{"data/c": "new"}, changed[0].Want); d != "" {
		t.Errorf("want: -want +got:\n%s", d)
	}
}

func TestFieldsOfOthersAreLeftAlone(t *testing.T) {
	w := newFixture(t)
	spec := w.step("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: \"1\"}\n")
	w.apply(spec)
	configMaps := w.cluster.Client().CoreV1().ConfigMaps(w.namespace)
	_, err := configMaps.Patch(engine.AllowWrites(t.Context()), "a", "application/merge-patch+json", []byte(`{"data":{"b":"2"}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if edits := w.look(spec); len(edits) != 0 {
		t.Errorf("a field that the manifest does not mention differs: %v", edits)
	}
}

func TestConflict(t *testing.T) {
	w := newFixture(t)
	_, err := w.cluster.Client().CoreV1().ConfigMaps(w.namespace).Create(engine.AllowWrites(t.Context()), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"x": "theirs"},
	}, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		t.Fatal(err)
	}
	spec := w.step("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: ours}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: b}\n")
	edits := w.look(spec)
	if len(edits) != 2 || edits[0].Note != "set by somebody" || !reflect.DeepEqual(edits[0].Have, map[string]any{"data/x": "theirs"}) || !reflect.DeepEqual(edits[0].Want, map[string]any{"data/x": "ours"}) {
		t.Fatalf("the field of another manager is not the first difference: %+v", edits)
	}
	err = edits[0].Apply(engine.AllowWrites(t.Context()))
	wantPermanent(t, err, "ConfigMap/"+w.namespace+"/a (m.yaml:4:8): data.x is managed by somebody", "force: true")

	spec.Force = true
	w.converge(spec)
	cm, err := w.cluster.Client().CoreV1().ConfigMaps(w.namespace).Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil || cm.Data["x"] != "ours" {
		t.Errorf("after force: got %v, %v", cm, err)
	}
}

func TestMistakesAreFoundBeforeAnythingIsWritten(t *testing.T) {
	w := newFixture(t)
	for name, test := range map[string]struct{ text, wantError, wantHint string }{
		"unknown field": {
			"# a comment\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replica: 1\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec: {containers: [{name: c, image: nginx}]}\n",
			"Deployment/" + w.namespace + "/a (m.yaml:6:3): unknown field spec.replica", "kubectl explain deployment",
		},
		"wrong value": {
			"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 70000}]}\n",
			"Service/" + w.namespace + "/a (m.yaml:4:17): spec.ports[0].port", "",
		},
		"kind that does not exist": {
			"apiVersion: apps/v1\nkind: Deploymnt\nmetadata: {name: a}\n",
			"apps/v1 has no kind Deploymnt", "did you mean Deployment?",
		},
		"version that does not exist": {
			"apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n",
			"apiVersion extensions/v1beta1 is not served", "kubectl api-versions",
		},
		"namespace of a kind without": {
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n",
			"kind Namespace has no namespaces", "remove",
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := *w
			in.T = t
			wantPermanent(t, in.fails(in.step(test.text)), test.wantError, test.wantHint)
		})
	}
}

func TestImmutableField(t *testing.T) {
	w := newFixture(t)
	const text = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  replicas: 0
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec: {containers: [{name: c, image: "nginx:stable"}]}
`
	w.apply(w.step(fmt.Sprintf(text, "one")))
	wantPermanent(t, w.fails(w.step(fmt.Sprintf(text, "two"))), "spec.selector: ", "delete the object")
}

func TestNamespaceThatDoesNotExist(t *testing.T) {
	w := newFixture(t)
	spec := w.step("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: \"1\"}\n")
	spec.Namespace = "nowhere-" + labtest.Unique(t)
	edits := w.look(spec)
	if len(edits) != 1 || edits[0].Note != "namespace "+spec.Namespace+" does not exist yet" {
		t.Fatalf("got %v", edits)
	}
	err := edits[0].Apply(engine.AllowWrites(t.Context()))
	wantPermanent(t, err, "namespace "+spec.Namespace+" does not exist", "createNamespace: true")
}

func TestSecretsAreNotShown(t *testing.T) {
	w := newFixture(t)
	const text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: %s}\n"
	var concealed []string
	w.env.Conceal = func(secrets ...engine.Secret) {
		for _, s := range secrets {
			concealed = append(concealed, s.Reveal())
		}
	}
	w.apply(w.step(fmt.Sprintf(text, "canary-one")))
	edits := w.look(w.step(fmt.Sprintf(text, "canary-two")))
	if len(edits) != 1 {
		t.Fatalf("got %v", edits)
	}
	removed := w.look(w.step("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"))
	if len(removed) != 1 || fmt.Sprint(removed[0].Have) != "map[data/password:(secret)]" {
		t.Errorf("a key that the manifest no longer has: %+v", removed)
	}
	want := map[string]any{"data/password": engine.NewSecret("Y2FuYXJ5LXR3bw==")}
	if d := cmp.Diff(want, edits[0].Want); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if got := fmt.Sprintf("%v %+v", edits, edits); strings.Contains(got, "canary") || strings.Contains(got, "Y2FuYXJ5") {
		t.Errorf("got %s", got)
	}
	if got := strings.Join(concealed, " "); !strings.Contains(got, "canary-two") || !strings.Contains(got, "Y2FuYXJ5LXR3bw==") {
		t.Errorf("concealed %s", got)
	}
}

const deploymentText = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: nginx, image: "nginx:stable"}]
`

func TestWaitsForWorkloads(t *testing.T) {
	w := newFixture(t)
	w.converge(w.step(deploymentText))
	d, err := w.cluster.Client().AppsV1().Deployments(w.namespace).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil || d.Status.AvailableReplicas != 1 {
		t.Errorf("done with %d available replicas, %v", d.Status.AvailableReplicas, err)
	}
}

func TestSaysWhatItWaitsFor(t *testing.T) {
	w := newFixture(t)
	spec := w.step(deploymentText + "      nodeSelector: {no: such-node}\n")
	w.apply(spec)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		edits := w.look(spec)
		if len(edits) != 1 || edits[0].Path != "Deployment/"+w.namespace+"/web/ready" || edits[0].Apply != nil || edits[0].Want != "ready" {
			t.Fatalf("got %+v", edits)
		}
		if strings.Contains(fmt.Sprint(edits[0].Have), " is not scheduled: ") {
			break
		}
		if err := edits[0].Await(ctx); err != nil {
			t.Fatalf("%v: have %v", err, edits[0].Have)
		}
	}
	spec.Wait.For = "none"
	if edits := w.look(spec); len(edits) != 0 {
		t.Errorf("wait.for none waits for %v", edits)
	}
}

// TestConditions waits for a condition of a custom resource that a controller,
// here the test, sets later.
func TestConditions(t *testing.T) {
	w := newFixture(t)
	group := "test-" + labtest.Unique(t) + ".ztplan.dev"
	t.Cleanup(func() { deleteCRD(t, w.cluster, "widgets."+group) })
	spec := w.step(fmt.Sprintf(crdText, group))
	spec.Manifests = map[string]any{
		"apiVersion": group + "/v1", "kind": "Widget", "metadata": map[string]any{"name": "first"},
		"spec": map[string]any{"size": 1},
	}
	spec.Wait.Conditions = []applymanifest.Condition{{Kind: "Widget", Name: "first", Type: "Accepted"}}
	w.apply(spec)

	edits := w.look(spec)
	path := "Widget/" + w.namespace + "/first/conditions/Accepted"
	if len(edits) != 1 || edits[0].Path != path || edits[0].Have != "no such condition yet" || edits[0].Want != "True" {
		t.Fatalf("got %+v", edits)
	}
	set := func(status, message string) {
		t.Helper()
		r := w.cluster.Dynamic().Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "widgets"}).Namespace(w.namespace)
		obj, err := r.Get(t.Context(), "first", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		unstructured.SetNestedSlice(obj.Object, []any{map[string]any{"type": "Accepted", "status": status, "reason": "Because", "message": message}}, "status", "conditions")
		if _, err := r.Update(engine.AllowWrites(t.Context()), obj, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	set("False", "not yet")
	if err := edits[0].Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	edits = w.look(spec)
	if len(edits) != 1 || edits[0].Have != "False, Because: not yet" {
		t.Fatalf("got %+v", edits)
	}
	set("True", "")
	if err := edits[0].Await(t.Context()); err != nil {
		t.Fatal(err)
	}
	if edits := w.look(spec); len(edits) != 0 {
		t.Errorf("got %+v", edits)
	}
}

// TestWebhookThatDoesNotAnswerYet applies an object while its admission
// webhook has no endpoints, as cert-manager's has none while it starts.
func TestWebhookThatDoesNotAnswerYet(t *testing.T) {
	w := newFixture(t)
	spec := w.step("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {webhook: \"yes\"}}\n")
	edits := w.look(spec)

	writes := engine.AllowWrites(t.Context())
	webhooks := w.cluster.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations()
	none, path := admissionv1.SideEffectClassNone, "/"
	config, err := webhooks.Create(writes, &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "test-" + labtest.Unique(t)},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name:                    "webhook.ztplan.dev",
			AdmissionReviewVersions: []string{"v1"},
			SideEffects:             &none,
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": w.namespace}},
			ObjectSelector:          &metav1.LabelSelector{MatchLabels: map[string]string{"webhook": "yes"}},
			ClientConfig:            admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: w.namespace, Name: "nobody", Path: &path}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.OperationAll},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	remove := func() {
		err := webhooks.Delete(engine.AllowWrites(context.Background()), config.Name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	}
	t.Cleanup(remove)

	// The API server sees the new webhook a moment later.
	deadline, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		if _, _, err = spec.Inspect(deadline, w.env); err != nil || deadline.Err() != nil {
			break
		}
	}
	if err == nil || errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "failed calling webhook") {
		t.Fatalf("looking: got %v, permanent %v", err, errors.Is(err, engine.ErrPermanent))
	}

	said := make(chan string, 100)
	w.env.Statusf = func(format string, args ...any) { said <- fmt.Sprintf(format, args...) }
	applied := make(chan error, 1)
	go func() { applied <- edits[0].Apply(writes) }()
	if text := <-said; !strings.Contains(text, "waits for an admission webhook") {
		t.Errorf("status is %q", text)
	}
	remove()
	if err := <-applied; err != nil {
		t.Errorf("applying: %v", err)
	}
}

// The object that was looked at is written to: one that was made anew since is looked at
// again.
func TestWritesToWhatWasLookedAt(t *testing.T) {
	w := newFixture(t)
	const text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: \"%s\"}\n"
	w.apply(w.step(fmt.Sprintf(text, "0")))
	spec := w.step(fmt.Sprintf(text, "1"))
	edit := w.look(spec)[0]
	w.remove("a")
	w.applyAs("somebody", map[string]string{"other": "1"})
	err := edit.Apply(engine.AllowWrites(t.Context()))
	if err == nil || errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "made anew since") {
		t.Errorf("applied all the same: %v", err)
	}
	if got := w.data("a"); got["x"] != "" {
		t.Errorf("it has %v", got)
	}
	w.apply(spec)
	if got := w.data("a"); got["x"] != "1" || got["other"] != "1" {
		t.Errorf("after another look it has %v", got)
	}
}

func (w *fixture) remove(name string) {
	w.Helper()
	if err := w.cluster.Client().CoreV1().ConfigMaps(w.namespace).Delete(engine.AllowWrites(w.Context()), name, metav1.DeleteOptions{}); err != nil {
		w.Fatal(err)
	}
}

// applyAs writes the ConfigMap a as another field manager.
func (w *fixture) applyAs(manager string, data map[string]string) {
	w.Helper()
	_, err := w.cluster.Client().CoreV1().ConfigMaps(w.namespace).Apply(engine.AllowWrites(w.Context()),
		applycorev1.ConfigMap("a", w.namespace).WithData(data), metav1.ApplyOptions{FieldManager: manager})
	if err != nil {
		w.Fatal(err)
	}
}

func (w *fixture) data(name string) map[string]string {
	w.Helper()
	got, err := w.cluster.Client().CoreV1().ConfigMaps(w.namespace).Get(w.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	return got.Data
}
