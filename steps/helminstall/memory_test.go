package helminstall_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/clustertest"
)

// A memory is a step on a cluster in memory, without the lab.
type memory struct {
	*clustertest.Cluster
	t      *testing.T
	env    *engine.Env
	warned *lines
}

func newMemory(t *testing.T, objects ...string) *memory {
	t.Helper()
	m := &memory{Cluster: clustertest.Serve(t, objects...), t: t, warned: &lines{}}
	m.env = m.Env(t)
	m.env.Warnf = m.warned.add
	return m
}

// anew is another run on the same cluster.
func (m *memory) anew() {
	env := m.Env(m.t)
	env.CacheDir, env.Warnf = m.env.CacheDir, m.env.Warnf
	m.env = env
}

const namespaceNS = "{apiVersion: v1, kind: Namespace, metadata: {name: ns}}"

// beside writes a chart beside the plan and returns a step that installs it into ns.
func (m *memory) beside(c charttest.Chart) *helminstall.Spec {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.env.Dir, "chart.tgz"), c.Pack(m.t), 0o600); err != nil {
		m.t.Fatal(err)
	}
	s := helminstall.Kind.New().(*helminstall.Spec)
	s.Chart, s.Release, s.Namespace, s.Wait = "chart.tgz", "app", "ns", false
	return s
}

func (m *memory) edits(s *helminstall.Spec) []engine.Edit {
	m.t.Helper()
	_, edits, err := s.Inspect(m.t.Context(), m.env)
	if err != nil {
		m.t.Fatal(err)
	}
	return edits
}

// run applies edits until there are none, and returns their paths and the outputs.
func (m *memory) run(s *helminstall.Spec) (helminstall.Outputs, []string) {
	m.t.Helper()
	var applied []string
	for range 10 {
		out, edits, err := s.Inspect(m.t.Context(), m.env)
		if err != nil {
			m.t.Fatal(err)
		}
		if len(edits) == 0 {
			return out, applied
		}
		for _, e := range edits {
			if err := e.Apply(engine.AllowWrites(m.t.Context())); err != nil {
				m.t.Fatalf("%s: %v", e.Path, err)
			}
			applied = append(applied, e.Path)
		}
	}
	m.t.Fatalf("does not end: %v", applied)
	return helminstall.Outputs{}, nil
}

func simple(version string) charttest.Chart {
	return charttest.Chart{Name: "simple", Version: version, AppVersion: "v" + version, Values: "level: low\n", Files: map[string]string{
		"templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {level: \"{{ .Values.level }}\"}\n",
	}}
}

const configMapA = "/api/v1/namespaces/ns/configmaps/a"

// A step makes the namespace, then the release; a second look has nothing to do, and
// what was changed or deleted by hand is set back without another revision.
func TestLifeOfARelease(t *testing.T) {
	m := newMemory(t)
	s := m.beside(simple("1.0.0"))
	edits := m.edits(s)
	if d := cmp.Diff([]string{"Namespace/ns", "release/ns/app"}, paths(edits)); d != "" {
		t.Fatalf("the first look (-want +got):\n%s", d)
	}
	if edits[1].Have != nil || edits[1].Apply == nil || !strings.Contains(fmt.Sprint(edits[1].Want), "data/level:low") {
		t.Errorf("the install shows %v, %v", edits[1].Have, edits[1].Want)
	}
	out, _, err := s.Inspect(t.Context(), m.env)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(helminstall.Outputs{Release: "app", Namespace: "ns"}, out); d != "" {
		t.Errorf("facts before there is a release (-want +got):\n%s", d)
	}
	out, applied := m.run(s)
	if !slices.Contains(applied, "Namespace/ns") || out.Revision != 1 || out.Chart != "simple" || out.Version != "1.0.0" || out.AppVersion != "v1.0.0" || len(out.ManifestDigest) != 64 {
		t.Errorf("after %v: %+v", applied, out)
	}

	o := m.Object(configMapA)
	_ = unstructured.SetNestedField(o.Object, "by hand", "data", "level")
	m.Put(t, toYAML(t, o))
	m.anew()
	s = m.beside(simple("1.0.0"))
	if out, applied := m.run(s); out.Revision != 1 || !slices.Equal(applied, []string{"ConfigMap/ns/a"}) {
		t.Errorf("after a change by hand: %v, %+v", applied, out)
	}
	level := func() string {
		text, _, _ := unstructured.NestedString(m.Object(configMapA).Object, "data", "level")
		return text
	}
	if level() != "low" {
		t.Errorf("level %s", level())
	}

	m.anew()
	s = m.beside(simple("2.0.0"))
	s.Values = map[string]any{"level": "high"}
	out, edits, err = s.Inspect(t.Context(), m.env)
	if err != nil || len(edits) != 1 || edits[0].Path != "release/ns/app" {
		t.Fatalf("got %v, %v", edits, err)
	}
	if out.Version != "" || out.Revision != 0 || out.Chart != "simple" || out.ManifestDigest != "" {
		t.Errorf("facts that the upgrade changes are known before it: %+v", out)
	}
	if out, _ := m.run(s); out.Revision != 2 || out.Version != "2.0.0" || level() != "high" {
		t.Errorf("after the upgrade: %+v, level %s", out, level())
	}
}

func toYAML(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	b, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A namespace that the step must not make is an error; one that goes away is waited for
// before anything else is looked at.
func TestNamespaceOfARelease(t *testing.T) {
	m := newMemory(t)
	s := m.beside(simple("1.0.0"))
	s.CreateNamespace = false
	_, _, err := s.Inspect(t.Context(), m.env)
	permanent(t, err, "namespace ns does not exist", "createNamespace: true")
	m = newMemory(t, "{apiVersion: v1, kind: Namespace, metadata: {name: ns, deletionTimestamp: \"2026-01-01T00:00:00Z\", finalizers: [x]}}")
	if e := only(t, m.edits(m.beside(simple("1.0.0")))); e.Path != "Namespace/ns" || e.Apply != nil || e.Await == nil {
		t.Errorf("one that goes away: %+v", e)
	}
}

// Definitions of the crds folder come before the release, unless the plan leaves them
// alone.
func TestDefinitionsBeforeTheRelease(t *testing.T) {
	c := simple("1.0.0")
	c.Files["crds/w.yaml"] = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\nspec: {group: example.com, names: {kind: Widget, plural: widgets}, scope: Namespaced, versions: [{name: v1}]}\n"
	m := newMemory(t, namespaceNS)
	s := m.beside(c)
	edits := m.edits(s)
	if d := cmp.Diff([]string{"crds", "release/ns/app"}, paths(edits)); d != "" {
		t.Fatalf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"widgets.example.com"}, edits[0].Want); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	m.anew()
	s = m.beside(c)
	s.SkipCRDs = true
	if d := cmp.Diff([]string{"release/ns/app"}, paths(m.edits(s))); d != "" {
		t.Errorf("left alone (-want +got):\n%s", d)
	}
}

// While another operation may be at work on the release, nothing is written: the step
// waits, and says until when.
func TestReleaseThatIsBusy(t *testing.T) {
	m := newMemory(t, namespaceNS)
	s := m.beside(simple("1.0.0"))
	m.run(s)
	const secret = "/api/v1/namespaces/ns/secrets/sh.helm.release.v1.app.v1"
	pending := func(labels map[string]string) *unstructured.Unstructured {
		t.Helper()
		// Helm's record of a pending release, as its decoder takes it: without compression.
		record := fmt.Sprintf(`{"name":"app","namespace":"ns","version":1,"info":{"status":"pending-upgrade"},"config":{},"manifest":"","chart":{"metadata":{"name":"simple","version":"1.0.0","appVersion":"v1.0.0"}}}`)
		o := m.Object(secret)
		_ = unstructured.SetNestedField(o.Object, encode(encode(record)), "data", "release")
		all := o.GetLabels()
		for key, v := range labels {
			if all[key] = v; v == "" {
				delete(all, key)
			}
		}
		o.SetLabels(all)
		m.Put(t, toYAML(t, o))
		return o
	}
	now := time.Now()
	stamp := func(d time.Duration) string { return fmt.Sprint(now.Add(d).Unix()) }
	for name, c := range map[string]struct {
		labels map[string]string
		busy   bool
	}{
		"of another machine, at work":  {map[string]string{"ztplan.dev/owner": "1-elsewhere", "ztplan.dev/until": "1-" + stamp(time.Minute)}, true},
		"of another machine, long ago": {map[string]string{"ztplan.dev/owner": "1-elsewhere", "ztplan.dev/until": "1-" + stamp(-time.Hour)}, false},
		"of helm, just now":            {map[string]string{"ztplan.dev/owner": "", "ztplan.dev/until": "", "createdAt": stamp(-time.Minute), "modifiedAt": stamp(-time.Minute)}, true},
		"of helm, long ago":            {map[string]string{"ztplan.dev/owner": "", "ztplan.dev/until": "", "createdAt": stamp(-time.Hour), "modifiedAt": stamp(-time.Hour)}, false},
	} {
		pending(c.labels)
		m.anew()
		m.Writes()
		edits := m.edits(m.beside(simple("1.0.0")))
		if len(edits) != 1 {
			t.Fatalf("%s: got %v of %v", name, edits, m.Object(secret))
		}
		e := edits[0]
		if waits := e.Apply == nil && e.Await != nil; waits != c.busy || e.Path != "release/ns/app" {
			t.Errorf("%s: it waits: %v: %+v", name, waits, e)
		}
		if c.busy && (!strings.Contains(e.Note, "at the latest at ") || !strings.Contains(fmt.Sprint(e.Have), "pending-upgrade")) {
			t.Errorf("%s: have %v, note %q", name, e.Have, e.Note)
		}
		if !c.busy && !strings.Contains(e.Note, "cut off") {
			t.Errorf("%s: note %q", name, e.Note)
		}
	}
}

// A release of another chart is not written over.
func TestReleaseOfAnotherChart(t *testing.T) {
	m := newMemory(t, namespaceNS)
	m.run(m.beside(simple("1.0.0")))
	other := simple("1.0.0")
	other.Name = "other"
	m.anew()
	m.Writes()
	_, _, err := m.beside(other).Inspect(t.Context(), m.env)
	permanent(t, err, "release ns/app is of chart simple 1.0.0", "helm uninstall app -n ns")
	if writes := m.Writes(); len(writes) > 0 {
		t.Errorf("it writes %v", writes)
	}
}

// Values that nothing reads are warned about once in a run, and refused with strict.
func TestValuesThatNothingReads(t *testing.T) {
	m := newMemory(t, namespaceNS)
	old := simple("1.0.0")
	old.Meta = "deprecated: true\n"
	s := m.beside(old)
	s.Values = map[string]any{"levell": "high", "password": "correct-horse"}
	for range 3 {
		m.edits(s)
	}
	want := "chart simple 1.0.0 is deprecated by its authors\n" +
		"values: chart simple 1.0.0 does not know levell and ignores it: did you mean level?\n" +
		"values: chart simple 1.0.0 does not know password and ignores it"
	if d := cmp.Diff(want, m.warned.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	s.Strict = true
	_, _, err := s.Inspect(t.Context(), m.env)
	if !errors.Is(err, engine.ErrPlan) || !strings.Contains(err.Error(), "levell (did you mean level?), password") || strings.Contains(err.Error(), "horse") || engine.HintOf(err) == "" {
		t.Errorf("strict: %v, hint %q", err, engine.HintOf(err))
	}
	if s.Values = map[string]any{"level": "high"}; len(m.edits(s)) != 1 {
		t.Error("known values are refused")
	}
}

// What the chart's schema refuses is found by the look, before anything is written.
func TestSchemaOfALook(t *testing.T) {
	m := newMemory(t, namespaceNS)
	c := simple("1.0.0")
	c.Files["values.schema.json"] = `{"properties": {"level": {"enum": ["low", "high"]}}}`
	s := m.beside(c)
	s.Values = map[string]any{"level": "odd"}
	_, _, err := s.Inspect(t.Context(), m.env)
	permanent(t, err, "values don't meet the specifications of the schema", "level")
	if writes := m.Writes(); len(writes) > 0 {
		t.Errorf("it writes %v", writes)
	}
}

// An error of the cluster or of the repository ends the look.
func TestLookThatFails(t *testing.T) {
	m := newMemory(t, namespaceNS)
	s := m.beside(simple("1.0.0"))
	s.Chart = "absent.tgz"
	_, _, err := s.Inspect(t.Context(), m.env)
	permanent(t, err, "absent.tgz")
	s = m.beside(simple("1.0.0"))
	s.ValuesFiles = []engine.File{{Name: "absent.yaml", Path: "/does/not/exist"}}
	_, _, err = s.Inspect(t.Context(), m.env)
	permanent(t, err, "valuesFiles", "/does/not/exist")
	s = m.beside(simple("1.0.0"))
	m.Refuse = func(_, path string) error {
		if strings.HasPrefix(path, "/api/v1/namespaces/ns/secrets") {
			return errors.New("etcd is away")
		}
		return nil
	}
	if _, _, err = s.Inspect(t.Context(), m.env); err == nil || errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "release ns/app") {
		t.Errorf("a server that fails: %v", err)
	}
}
