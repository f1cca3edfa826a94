package helmkit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/clustertest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// A scene is a cluster in memory and a step beside it.
type scene struct {
	*clustertest.Cluster
	t       *testing.T
	env     *engine.Env
	cluster *kubekit.Cluster
	warned  []string
	hidden  []string
}

func newScene(t *testing.T, objects ...string) *scene {
	t.Helper()
	s := &scene{Cluster: clustertest.Serve(t, objects...), t: t}
	s.env = s.Env(t)
	s.env.Warnf = func(format string, args ...any) { s.warned = append(s.warned, fmt.Sprintf(format, args...)) }
	s.env.Conceal = func(found ...engine.Secret) {
		for _, f := range found {
			s.hidden = append(s.hidden, f.Reveal())
		}
	}
	var err error
	if s.cluster, err = kubekit.Connect(t.Context(), s.env); err != nil {
		t.Fatal(err)
	}
	return s
}

// operation is one on release app in namespace ns, as it is there now.
func (s *scene) operation(c *chart.Chart, v values.Values) *Operation {
	s.t.Helper()
	before, err := release.Read(s.t.Context(), s.cluster, "ns", "app")
	if err != nil {
		s.t.Fatal(err)
	}
	return &Operation{Chart: c, Values: v, Name: "app", Namespace: "ns", Previous: before, MaxHistory: 10, Until: time.Now().Add(time.Hour)}
}

func (s *scene) apply(o *Operation) {
	s.t.Helper()
	if err := o.Apply(engine.AllowWrites(s.t.Context()), s.env, s.cluster); err != nil {
		s.t.Fatal(err)
	}
}

// preview returns the difference that a dry run shows.
func (s *scene) preview(o *Operation) (*Difference, error) {
	s.t.Helper()
	d, err := Compare(o.Previous, o.Chart, o.Values)
	if err != nil {
		s.t.Fatal(err)
	}
	if d == nil {
		s.t.Fatal("no difference")
	}
	return d, o.Preview(s.t.Context(), s.env, s.cluster, d)
}

const configMaps = "/api/v1/namespaces/ns/configmaps/"

// settings is a chart with two ConfigMaps, of which later versions have one.
func settings(version string) charttest.Chart {
	files := map[string]string{"templates/a.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {level: "{{ .Values.level }}", revision: "{{ .Release.Revision }}", url: "db://app:{{ .Values.password }}@db"}
`}
	if version == "1.0.0" {
		files["templates/b.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, annotations: {{ toJson .Values.annotations }}}\n"
	}
	return charttest.Chart{Name: "app", Version: version, Values: "level: low\npassword: \"\"\nannotations: {}\n", Files: files}
}

// What is installed is what a dry run has shown, and a look at it finds the same chart,
// values and revision; an upgrade compares with it.
func TestInstallAndUpgrade(t *testing.T) {
	s := newScene(t)
	one, two := local(t, settings("1.0.0")), local(t, settings("2.0.0"))
	given := values.Values{"password": "correct-horse-battery"}
	o := s.operation(one, given)
	d, err := s.preview(o)
	if err != nil {
		t.Fatal(err)
	}
	if writes := s.Writes(); len(writes) > 0 {
		t.Fatalf("a dry run writes %v", writes)
	}
	type m = map[string]any
	if got := d.Want["objects"].(m)["ConfigMap/ns/a"].(m); got["data/level"] != "low" || got["data/revision"] != "1" || strings.Contains(fmt.Sprint(d.Want), "horse") {
		t.Errorf("the dry run shows %v", d.Want)
	}
	if !slices.Contains(s.hidden, "correct-horse-battery") {
		t.Errorf("the password is not looked for in what the run prints: %v", s.hidden)
	}
	s.apply(o)
	r := s.operation(one, given).Previous
	if r == nil || r.Revision != 1 || r.Status != "deployed" || !r.Ours() || r.ChartChanged(one) || !r.EverDeployed {
		t.Fatalf("the release is %+v", r)
	}
	if d, err := Compare(r, one, given); d != nil || err != nil {
		t.Errorf("differs from what was installed: %+v, %v", d, err)
	}
	a := s.Object(configMaps + "a")
	if a == nil || a.GetAnnotations()["meta.helm.sh/release-name"] != "app" || s.Object(configMaps+"b") == nil {
		t.Fatalf("installed: %v", a)
	}
	_ = unstructured.SetNestedField(a.Object, "x", "data", "others")
	s.Put(t, yamlOf(t, a))

	o = s.operation(two, values.Values{"level": "high", "password": "correct-horse-battery"})
	if d, err = s.preview(o); err != nil {
		t.Fatal(err)
	}
	want := []engine.Edit{
		{Path: "ConfigMap/ns/a", Have: m{"data/level": "low", "data/revision": "1"}, Want: m{"data/level": "high", "data/revision": "2"}},
		{Path: "ConfigMap/ns/b", Have: "exists"},
	}
	if x := cmp.Diff(fmt.Sprint(want), fmt.Sprint(d.Parts())); x != "" {
		t.Errorf("the dry run of the upgrade (-want +got):\n%s", x)
	}
	s.apply(o)
	a = s.Object(configMaps + "a")
	if level, _, _ := unstructured.NestedString(a.Object, "data", "level"); level != "high" || s.Object(configMaps+"b") != nil {
		t.Errorf("after the upgrade: %v, b %v", a, s.Object(configMaps+"b"))
	}
	if others, _, _ := unstructured.NestedString(a.Object, "data", "others"); others != "x" {
		t.Error("the upgrade took away what others have put there")
	}
	if r := s.operation(two, nil).Previous; r.Revision != 2 || r.Status != "deployed" || r.Version != "2.0.0" {
		t.Errorf("the release is %+v", r)
	}
}

// Helm goes by the annotation of the object in the cluster when it keeps what its chart
// does not make any more, and so does the dry run.
func TestWhatAnUpgradeKeeps(t *testing.T) {
	keep := map[string]any{"helm.sh/resource-policy": "keep"}
	for name, c := range map[string]struct {
		chart map[string]any
		live  string // the annotation in the cluster afterwards; "-" leaves it as it is
		kept  bool
	}{
		"neither":                {map[string]any{}, "-", false},
		"both":                   {keep, "-", true},
		"the cluster only":       {map[string]any{}, "keep", true},
		"the chart only":         {keep, "", false},
		"another policy instead": {keep, "delete", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			s.apply(s.operation(local(t, settings("1.0.0")), values.Values{"annotations": c.chart}))
			if c.live != "-" {
				b := s.Object(configMaps + "b")
				annotations := b.GetAnnotations()
				if annotations["helm.sh/resource-policy"] = c.live; c.live == "" {
					delete(annotations, "helm.sh/resource-policy")
				}
				b.SetAnnotations(annotations)
				s.Put(t, yamlOf(t, b))
			}
			o := s.operation(local(t, settings("2.0.0")), nil)
			d, err := s.preview(o)
			if err != nil {
				t.Fatal(err)
			}
			have, _ := d.Have["objects"].(map[string]any)
			if _, removed := have["ConfigMap/ns/b"]; removed == c.kept {
				t.Errorf("the dry run shows that it is removed: %v", removed)
			}
			s.apply(o)
			if there := s.Object(configMaps+"b") != nil; there != c.kept {
				t.Errorf("it is there: %v, want %v", there, c.kept)
			}
		})
	}
}

// A release that was cut off is completed: one that was never deployed by an install
// over what is there, any other by an upgrade. Nothing is deleted for it.
func TestReleaseThatWasCutOff(t *testing.T) {
	one := local(t, settings("1.0.0"))
	s := newScene(t)
	first := true
	s.Refuse = func(verb, path string) error {
		if first && verb == "POST" && path == strings.TrimSuffix(configMaps, "/") {
			return apierrors.NewServerTimeout(schema.GroupResource{Resource: "configmaps"}, "create", 0)
		}
		return nil
	}
	o := s.operation(one, nil)
	if err := o.Apply(engine.AllowWrites(t.Context()), s.env, s.cluster); err == nil || !strings.Contains(err.Error(), "release ns/app") {
		t.Fatalf("got %v", err)
	}
	first = false
	s.Put(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns, labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: app, meta.helm.sh/release-namespace: ns}}, data: {others: x}}")
	o = s.operation(one, nil)
	if o.Previous == nil || o.Previous.Status != "failed" || o.Previous.EverDeployed || !o.installs() {
		t.Fatalf("it is recorded as %+v", o.Previous)
	}
	s.Writes()
	s.apply(o)
	for _, w := range s.Writes() {
		if strings.HasPrefix(w, "DELETE") {
			t.Errorf("it deletes: %s", w)
		}
	}
	o = s.operation(one, values.Values{"level": "high"})
	if o.Previous.Revision != 2 || o.Previous.Status != "deployed" || o.installs() {
		t.Fatalf("it is %+v", o.Previous)
	}
	if others, _, _ := unstructured.NestedString(s.Object(configMaps+"a").Object, "data", "others"); others != "x" {
		t.Error("what others had is gone")
	}

	// Another client works on it: what was looked at is not what is there.
	stale := *o.Previous
	stale.Status = "pending-upgrade"
	o.Previous = &stale
	if err := o.Apply(engine.AllowWrites(t.Context()), s.env, s.cluster); err == nil || !strings.Contains(err.Error(), "another client works on the release") {
		t.Errorf("got %v", err)
	}
	if level, _, _ := unstructured.NestedString(s.Object(configMaps+"a").Object, "data", "level"); level != "low" {
		t.Errorf("it writes over another client: level %s", level)
	}
}

// An object of somebody else is not overwritten unless the plan takes it over.
func TestObjectsOfOthers(t *testing.T) {
	const others = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns}, data: {level: theirs, more: x}}"
	s := newScene(t, others)
	o := s.operation(local(t, settings("1.0.0")), nil)
	if _, err := s.preview(o); !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "ConfigMap/ns/a exists, belongs to no release") || !strings.Contains(engine.HintOf(err), "takeOwnership") {
		t.Errorf("the dry run: %v, hint %q", err, engine.HintOf(err))
	}
	if err := o.Apply(engine.AllowWrites(t.Context()), s.env, s.cluster); !errors.Is(err, engine.ErrPermanent) {
		t.Errorf("the install: %v", err)
	}
	if level, _, _ := unstructured.NestedString(s.Object(configMaps+"a").Object, "data", "level"); level != "theirs" {
		t.Errorf("it was overwritten: %s", level)
	}
	s = newScene(t, others)
	o = s.operation(local(t, settings("1.0.0")), nil)
	o.TakeOwnership = true
	d, err := s.preview(o)
	if err != nil {
		t.Fatal(err)
	}
	if have := fmt.Sprint(d.Have); !strings.Contains(have, "data/level:theirs") || strings.Contains(have, "more") {
		t.Errorf("the dry run shows %s", have)
	}
	s.apply(o)
	a := s.Object(configMaps + "a")
	if more, _, _ := unstructured.NestedString(a.Object, "data", "more"); more != "x" || a.GetAnnotations()["meta.helm.sh/release-name"] != "app" {
		t.Errorf("it was adopted as %v", a.Object)
	}
}

// A user who may not write sees the difference by the fields of the manifests; what the
// API server would refuse is found in the dry run, and what is still to come is not.
func TestPreviewWithObstacles(t *testing.T) {
	one := local(t, settings("1.0.0"))
	create := strings.TrimSuffix(configMaps, "/")
	gr := schema.GroupResource{Resource: "configmaps"}
	for name, c := range map[string]struct {
		refused error
		fails   bool
	}{
		"an invalid object":    {apierrors.NewInvalid(schema.GroupKind{Kind: "ConfigMap"}, "a", nil), true},
		"a field of no kind":   {apierrors.NewBadRequest(`ConfigMap in version "v1" cannot be handled as a ConfigMap: unknown`), true},
		"another bad request":  {apierrors.NewBadRequest("no"), false},
		"no namespace yet":     {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "ns"), false},
		"a user who may not":   {apierrors.NewForbidden(gr, "a", errors.New("no")), false},
		"a server with a pain": {apierrors.NewInternalError(errors.New("etcd")), false},
	} {
		s := newScene(t)
		s.Refuse = func(verb, path string) error {
			if verb == "POST" && path == create {
				return c.refused
			}
			return nil
		}
		d, err := s.preview(s.operation(one, nil))
		if (err != nil) != c.fails || err != nil && !strings.Contains(err.Error(), "ConfigMap/ns/") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && !strings.Contains(fmt.Sprint(d.Want), "data/level:low") {
			t.Errorf("%s: shows %v", name, d.Want)
		}
	}
	s := newScene(t)
	s.apply(s.operation(one, nil))
	s.Refuse = func(verb, _ string) error {
		if verb == "PATCH" {
			return apierrors.NewForbidden(gr, "a", errors.New(`User "ci" cannot patch resource "configmaps" in API group "" in the namespace "ns"`))
		}
		return nil
	}
	d, err := s.preview(s.operation(one, values.Values{"level": "high"}))
	if err != nil || !strings.Contains(fmt.Sprint(d.Want["objects"]), "data/level:high") || len(s.warned) != 1 {
		t.Errorf("who may not write: %v, %v, warned %q", d, err, s.warned)
	}
}

// Values that are made at random are shown as such where an object is new, and are no
// change of one that is there.
func TestPreviewOfRandomValues(t *testing.T) {
	c := local(t, charttest.Chart{Name: "app", Version: "1.0.0", Values: "level: low\n", Files: map[string]string{
		"templates/a.yaml":    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {level: \"{{ .Values.level }}\", id: \"{{ uuidv4 }}\"}\n",
		"templates/h.yaml":    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: h, annotations: {helm.sh/hook: \"pre-install,pre-upgrade\"}}\ndata: {id: \"{{ uuidv4 }}\", at: \"{{ .Release.Revision }}\"}\n",
		"templates/NOTES.txt": "not: [an object\n",
		"templates/sa.yaml":   "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: sa}\n",
		"templates/d.yaml":    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {initContainers: [{name: i, image: \"b:1\"}], containers: [{name: c, image: \"a:1\"}]}}}\n",
	}})
	s := newScene(t)
	o := s.operation(c, nil)
	d, err := s.preview(o)
	if err != nil {
		t.Fatal(err)
	}
	type m = map[string]any
	objects, hooks := d.Want["objects"].(m), d.Want["hooks"].(m)
	if got := objects["ConfigMap/ns/a"].(m); got["data/id"] != release.Random || got["data/level"] != "low" {
		t.Errorf("a new object: %v", got)
	}
	if got, _ := hooks["pre-install ConfigMap/ns/h"].(m); len(hooks) != 1 || got["data/id"] != release.Random || got["data/at"] != "1" {
		t.Errorf("hooks: %v", hooks)
	}
	if objects["ServiceAccount/ns/sa"] != "exists" {
		t.Errorf("an object without fields: %v", objects)
	}
	if x := cmp.Diff([]any{"a:1", "b:1"}, d.Want["images"]); x != "" {
		t.Errorf("images (-want +got):\n%s", x)
	}
	s.apply(o)
	if s.Object(configMaps+"h") == nil {
		t.Error("the hook did not run")
	}
	d, err = s.preview(s.operation(c, values.Values{"level": "high"}))
	if err != nil {
		t.Fatal(err)
	}
	if x := cmp.Diff(m{"ConfigMap/ns/a": m{"data/level": "high"}}, d.Want["objects"]); x != "" {
		t.Errorf("an upgrade (-want +got):\n%s", x)
	}
	if _, shown := d.Want["images"]; shown {
		t.Error("an upgrade shows the images of an install")
	}
}
