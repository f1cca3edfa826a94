package release

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart"
	helmrelease "helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/clustertest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

const secrets = "/api/v1/namespaces/ns/secrets/"

// A scene is a cluster in memory and a step beside it.
type scene struct {
	*clustertest.Cluster
	t       *testing.T
	env     *engine.Env
	cluster *kubekit.Cluster
	warned  []string
}

func newScene(t *testing.T, objects ...string) *scene {
	t.Helper()
	s := &scene{Cluster: clustertest.Serve(t, objects...), t: t}
	s.env = s.Env(t)
	s.env.Warnf = func(format string, args ...any) { s.warned = append(s.warned, fmt.Sprintf(format, args...)) }
	var err error
	if s.cluster, err = kubekit.Connect(t.Context(), s.env); err != nil {
		t.Fatal(err)
	}
	return s
}

// stores a revision as Helm does.
func (s *scene) stores(name string, revision int, status helmrelease.Status, text string) {
	s.t.Helper()
	client, err := typedcorev1.NewForConfig(ConfigFor(engine.AllowWrites(s.t.Context()), s.cluster))
	if err != nil {
		s.t.Fatal(err)
	}
	err = Store(client.Secrets("ns")).Create(&helmrelease.Release{
		Name: name, Namespace: "ns", Version: revision, Manifest: text, Config: map[string]any{"revision": revision},
		Chart: &chart.Chart{Metadata: &chart.Metadata{Name: "app", Version: "1.0.0", AppVersion: "7"}},
		Info:  &helmrelease.Info{Status: status, Description: fmt.Sprint(status)},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.Writes()
}

func (s *scene) read() *Release {
	s.t.Helper()
	r, err := Read(s.t.Context(), s.cluster, "ns", "app")
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// look reads a release of which text is the manifest.
func (s *scene) look(text string) *State {
	s.t.Helper()
	s.stores("app", 1, helmrelease.StatusDeployed, text)
	st, err := s.read().Look(s.t.Context(), s.env, s.cluster)
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

func denied(verb, resource string) error {
	return apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "x",
		fmt.Errorf(`User "ci" cannot %s resource %q in API group "" in the namespace "ns"`, verb, resource))
}

// The newest revision counts, by its number and not by its name; whether the next
// operation is an upgrade is decided by all of them.
func TestReadTheNewestRevision(t *testing.T) {
	type revision struct {
		n      int
		status helmrelease.Status
	}
	for name, c := range map[string]struct {
		stored []revision
		want   int // 0 for no release
		ever   bool
	}{
		"none":                       {nil, 0, false},
		"one that is deployed":       {[]revision{{1, helmrelease.StatusDeployed}}, 1, true},
		"one that failed":            {[]revision{{1, helmrelease.StatusFailed}}, 1, false},
		"one that was cut off":       {[]revision{{1, helmrelease.StatusPendingInstall}}, 1, false},
		"two digits after one":       {[]revision{{9, helmrelease.StatusDeployed}, {10, helmrelease.StatusPendingUpgrade}, {8, helmrelease.StatusSuperseded}}, 10, true},
		"failed after an older one":  {[]revision{{1, helmrelease.StatusSuperseded}, {2, helmrelease.StatusFailed}}, 2, true},
		"failed again":               {[]revision{{1, helmrelease.StatusFailed}, {2, helmrelease.StatusFailed}}, 2, false},
		"uninstalled with a history": {[]revision{{1, helmrelease.StatusUninstalled}}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.stores("application", 99, helmrelease.StatusDeployed, "") // of another release
			for _, r := range c.stored {
				s.stores("app", r.n, r.status, "")
			}
			got := s.read()
			if c.want == 0 {
				if got != nil {
					t.Fatalf("got %+v", got)
				}
				return
			}
			if got == nil || got.Revision != c.want || got.EverDeployed != c.ever || got.Namespace != "ns" || got.Name != "app" {
				t.Fatalf("got %+v, want revision %d, ever deployed %v", got, c.want, c.ever)
			}
			if got.Chart != "app" || got.Version != "1.0.0" || got.AppVersion != "7" || got.Values["revision"] != float64(c.want) {
				t.Errorf("got %+v", got)
			}
			if w := got.Watch(); w.Ref.Name != fmt.Sprintf("sh.helm.release.v1.app.v%d", c.want) || w.Ref.Namespace != "ns" || w.ResourceVersion == "" {
				t.Errorf("it watches %+v", w)
			}
		})
	}
}

// A revision that another client removes between two requests is no error; what cannot
// be read is one, and not the absence of a release.
func TestReadWhatIsGoneOrRefused(t *testing.T) {
	s := newScene(t)
	s.stores("app", 1, helmrelease.StatusSuperseded, "")
	s.stores("app", 2, helmrelease.StatusDeployed, "")
	asked := 0
	s.Refuse = func(verb, path string) error {
		if path == secrets+"sh.helm.release.v1.app.v2" {
			if asked++; asked == 1 {
				return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, "x")
			}
		}
		return nil
	}
	if r := s.read(); r == nil || r.Revision != 2 || asked != 2 {
		t.Errorf("pruned in between: %+v after %d questions", r, asked)
	}
	for name, refused := range map[string]string{"list": strings.TrimSuffix(secrets, "/"), "get": secrets + "sh.helm.release.v1.app.v2"} {
		s.Refuse = func(_, path string) error {
			if path == refused {
				return denied(name, "secrets")
			}
			return nil
		}
		r, err := Read(t.Context(), s.cluster, "ns", "app")
		if r != nil || err == nil || !strings.Contains(err.Error(), "release ns/app") || !strings.Contains(err.Error(), `cannot `+name) {
			t.Errorf("who may not %s: got %+v, %v", name, r, err)
		}
	}
	s.Refuse = nil
	s.Put(t, `{apiVersion: v1, kind: Secret, metadata: {namespace: ns, name: sh.helm.release.v1.app.v3, labels: {owner: helm, name: app, version: "3", status: deployed}}, data: {release: dGV4dA==}}`)
	if r, err := Read(t.Context(), s.cluster, "ns", "app"); r != nil || !errors.Is(err, engine.ErrPermanent) ||
		!strings.Contains(err.Error(), "release ns/app: secret sh.helm.release.v1.app.v3 holds no release") || engine.HintOf(err) == "" {
		t.Errorf("what is no release: got %+v, %v, hint %q", r, err, engine.HintOf(err))
	}
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

const configMap = "{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {level: \"1\"}}\n"

// What the cluster lacks is made again as the release has it, in its namespace and with
// Helm's marks, and what ends by itself is not.
func TestMissing(t *testing.T) {
	s := newScene(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: there, namespace: ns}}")
	st := s.look(strings.Join([]string{
		fmt.Sprintf(configMap, "there"), fmt.Sprintf(configMap, "gone"),
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: far, namespace: other, labels: {a: b}, annotations: {c: d}}}",
		"{apiVersion: v1, kind: Namespace, metadata: {name: extra}}",
		"{apiVersion: batch/v1, kind: Job, metadata: {name: once}, spec: {ttlSecondsAfterFinished: 0, template: {spec: {restartPolicy: Never, containers: [{name: a}]}}}}",
		"{apiVersion: batch/v1, kind: Job, metadata: {name: kept}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: a}]}}}}",
		"{apiVersion: example.com/v1, kind: Widget, metadata: {name: unserved}}",
	}, "\n---\n"))
	edits := map[string]engine.Edit{}
	for _, e := range st.Missing() {
		edits[e.Path] = e
		if e.Want != "as in revision 1 of release app" || e.Have != nil {
			t.Errorf("%s: have %v, want %v", e.Path, e.Have, e.Want)
		}
	}
	for _, path := range []string{"ConfigMap/ns/gone", "ConfigMap/other/far", "Namespace/extra", "Job/ns/kept", "Widget/ns/unserved"} {
		if _, ok := edits[path]; !ok {
			t.Errorf("%s is not missed", path)
		}
	}
	if len(edits) != 5 {
		t.Errorf("got %v", edits)
	}
	for _, path := range []string{"ConfigMap/ns/gone", "ConfigMap/other/far", "Namespace/extra"} {
		if err := edits[path].Apply(t.Context()); !errors.Is(err, kubekit.ErrReadOnly) {
			t.Errorf("%s outside an edit: %v", path, err)
		}
		if err := edits[path].Apply(engine.AllowWrites(t.Context())); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for path, want := range map[string]string{
		"/api/v1/namespaces/ns/configmaps/gone":   "{apiVersion: v1, kind: ConfigMap, metadata: {name: gone, namespace: ns, labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: app, meta.helm.sh/release-namespace: ns}}, data: {level: \"1\"}}",
		"/api/v1/namespaces/other/configmaps/far": "{apiVersion: v1, kind: ConfigMap, metadata: {name: far, namespace: other, labels: {a: b, app.kubernetes.io/managed-by: Helm}, annotations: {c: d, meta.helm.sh/release-name: app, meta.helm.sh/release-namespace: ns}}}",
		"/api/v1/namespaces/extra":                "{apiVersion: v1, kind: Namespace, metadata: {name: extra, labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: app, meta.helm.sh/release-namespace: ns}}}",
	} {
		got := s.Object(path)
		if got == nil {
			t.Errorf("%s was not made", path)
			continue
		}
		unstructured.RemoveNestedField(got.Object, "metadata", "uid")
		unstructured.RemoveNestedField(got.Object, "metadata", "resourceVersion")
		if d := cmp.Diff(object(t, want).Object, got.Object); d != "" {
			t.Errorf("%s (-want +got):\n%s", path, d)
		}
	}
}

// An upgrade deletes what its chart does not make any more, but for what is to be kept.
func TestRemoved(t *testing.T) {
	r := &Release{Manifest: strings.Join([]string{
		fmt.Sprintf(configMap, "made"), fmt.Sprintf(configMap, "dropped"),
		"{apiVersion: v1, kind: Secret, metadata: {name: kept, annotations: {helm.sh/resource-policy: keep}}}",
		"{apiVersion: v1, kind: Secret, metadata: {name: not-kept, annotations: {helm.sh/resource-policy: delete}}}",
	}, "\n---\n")}
	got, err := r.Removed(func(k manifest.Key) bool { return k == manifest.KeyOf(object(t, fmt.Sprintf(configMap, "made"))) })
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range got {
		names = append(names, o.GetName())
	}
	if d := cmp.Diff([]string{"dropped", "not-kept"}, names); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if _, err := (&Release{Manifest: "a: ["}).Removed(nil); err == nil {
		t.Error("a manifest that cannot be read: nothing is removed")
	}
}

// The fields of a release and the marks of its owner are claimed; those that are made
// anew each time as that, and those that say nothing not at all.
func TestClaimsOfARelease(t *testing.T) {
	o := object(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {}}, data: {level: "1", token: x, empty: ""}}`)
	ref := kubekit.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "ns", Name: "a"}
	got := map[string]any{}
	for _, c := range Claims("app", "ns", []kubekit.Ref{ref}, []*unstructured.Unstructured{o}, map[manifest.Key]map[string]bool{manifest.KeyOf(o): {"data/token": true}}) {
		got[strings.TrimPrefix(c.Path, "ConfigMap/ns/a/")] = c.Want
	}
	for path, want := range map[string]any{"data/level": "1", "data/token": Random, "metadata/labels/app.kubernetes.io/managed-by": "Helm", "metadata/annotations/meta.helm.sh/release-name": "app"} {
		if got[path] != want {
			t.Errorf("%s is claimed as %v, want %v", path, got[path], want)
		}
	}
	if _, claimed := got["data/empty"]; claimed {
		t.Errorf("what is empty is claimed: %v", got)
	}
	if len(o.GetLabels()) != 0 {
		t.Errorf("the object was marked: %v", o.GetLabels())
	}
	s := newScene(t)
	if claims := s.look(fmt.Sprintf(configMap, "a")).Claims(); len(claims) != 4 || !strings.HasPrefix(claims[0].Path, "ConfigMap/ns/a/") {
		t.Errorf("as it is deployed: %v", claims)
	}
}

// Workloads that are not at work yet are waited for; a Job that failed will not be.
func TestNotReady(t *testing.T) {
	const pod = "template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}"
	const at = "metadata: {name: a, namespace: ns, generation: 1}"
	for name, c := range map[string]struct {
		object string
		want   string // the path of the edit, a part of the error, or ""
		fails  bool
	}{
		"a ConfigMap": {"{apiVersion: v1, kind: ConfigMap, " + at + "}", "", false},
		"a Deployment that starts": {"{apiVersion: apps/v1, kind: Deployment, " + at + ", spec: {replicas: 1, selector: {matchLabels: {a: b}}, " + pod + "}}",
			"Deployment/ns/a", false},
		"one that is available": {"{apiVersion: apps/v1, kind: Deployment, " + at + ", spec: {replicas: 1, selector: {matchLabels: {a: b}}, " + pod + "}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: \"True\"}]}}",
			"", false},
		"a Job that runs": {"{apiVersion: batch/v1, kind: Job, " + at + ", spec: {" + pod + "}, status: {active: 1}}", "Job/ns/a", false},
		"a Job that is complete": {"{apiVersion: batch/v1, kind: Job, " + at + ", spec: {" + pod + "}, status: {succeeded: 1, conditions: [{type: Complete, status: \"True\"}]}}",
			"", false},
		"a Job that failed": {"{apiVersion: batch/v1, kind: Job, " + at + ", spec: {" + pod + "}, status: {failed: 1, conditions: [{type: Failed, status: \"True\", message: BackoffLimitExceeded}]}}",
			"Job/ns/a", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, c.object)
			edits, err := s.look(c.object).NotReady(t.Context())
			if c.fails {
				if !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), c.want) || !strings.Contains(engine.HintOf(err), "delete the Job") {
					t.Errorf("got %v, %v, hint %q", edits, err, engine.HintOf(err))
				}
				return
			}
			if err != nil || (len(edits) == 1) != (c.want != "") || c.want != "" && (edits[0].Path != c.want || edits[0].Apply != nil || edits[0].Await == nil || edits[0].Want != "ready") {
				t.Errorf("got %+v, %v", edits, err)
			}
		})
	}
}

// A webhook with the failure policy Fail needs a CA bundle and a pod that answers: the
// API server refuses the objects of the next step otherwise.
func TestWebhooksThatCannotAnswer(t *testing.T) {
	const head = "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: w}, webhooks: ["
	const slice = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: %s, namespace: ns, labels: {kubernetes.io/service-name: %s}}, endpoints: [%s]}"
	hook := func(name, policy, bundle string) string {
		return "{name: " + name + ", failurePolicy: " + policy + ", clientConfig: {caBundle: \"" + bundle + "\", service: {name: svc, namespace: ns}}}"
	}
	bundles, endpoints := "ValidatingWebhookConfiguration/w/caBundle", "Service/ns/svc/endpoints"
	for name, c := range map[string]struct {
		hooks  string
		slices []string
		want   []string
	}{
		"nothing yet":               {hook("a", "Fail", ""), nil, []string{endpoints, bundles}},
		"no policy is Fail":         {"{name: a, clientConfig: {service: {name: svc, namespace: ns}}}", nil, []string{endpoints, bundles}},
		"a bundle and no pod":       {hook("a", "Fail", "Y2E="), nil, []string{endpoints}},
		"one of two has no bundle":  {hook("a", "Fail", "Y2E=") + ", " + hook("b", "Fail", ""), []string{fmt.Sprintf(slice, "s", "svc", "{conditions: {ready: true}}")}, []string{bundles}},
		"a pod that is not ready":   {hook("a", "Fail", "Y2E="), []string{fmt.Sprintf(slice, "s", "svc", "{conditions: {ready: false}}")}, []string{endpoints}},
		"one of two pods":           {hook("a", "Fail", "Y2E="), []string{fmt.Sprintf(slice, "s", "svc", "{conditions: {ready: false}}, {conditions: {ready: true}}")}, nil},
		"a pod of another Service":  {hook("a", "Fail", "Y2E="), []string{fmt.Sprintf(slice, "s", "other", "{conditions: {ready: true}}")}, []string{endpoints}},
		"one that does not say":     {hook("a", "Fail", "Y2E="), []string{fmt.Sprintf(slice, "s", "svc", "{conditions: {}}")}, nil},
		"one in a second slice":     {hook("a", "Fail", "Y2E="), []string{fmt.Sprintf(slice, "s", "svc", ""), fmt.Sprintf(slice, "t", "svc", "{conditions: {ready: true}}")}, nil},
		"one that may fail":         {hook("a", "Ignore", ""), nil, nil},
		"one at an address":         {"{name: a, failurePolicy: Fail, clientConfig: {url: https://w.example.com}}", nil, nil},
		"none":                      {"", nil, nil},
		"that may fail beside Fail": {hook("a", "Ignore", "") + ", " + hook("b", "Fail", "Y2E="), nil, []string{endpoints}},
	} {
		t.Run(name, func(t *testing.T) {
			config := head + c.hooks + "]}"
			s := newScene(t, append(c.slices, config)...)
			edits, err := s.look(config).NotReady(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range edits {
				got = append(got, e.Path)
				if e.Apply != nil || e.Await == nil {
					t.Errorf("%s is not waited for", e.Path)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	config := head + hook("a", "Fail", "Y2E=") + "]}"
	s := newScene(t, config)
	st := s.look(config)
	s.Refuse = func(_, path string) error {
		if strings.HasSuffix(path, "/endpointslices") {
			return denied("list", "endpointslices")
		}
		return nil
	}
	if _, err := st.NotReady(t.Context()); err == nil || !strings.Contains(err.Error(), "Service/ns/svc") {
		t.Errorf("who may not list: %v", err)
	}
	s.Refuse = nil
	edits, err := st.NotReady(t.Context())
	if err != nil || len(edits) != 1 {
		t.Fatalf("got %v, %v", edits, err)
	}
	s.Put(t, fmt.Sprintf(slice, "s", "svc", "{conditions: {ready: true}}"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := edits[0].Await(ctx); err != nil {
		t.Errorf("the pod that came is not noticed: %v", err)
	}
}

func timeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeoutCause(t.Context(), d, errors.New("the run is over"))
}
