package helminstall_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"helm.sh/helm/v3/pkg/storage/driver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/kubeyaml"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// A sample is a chart with one kind of structure that popular charts have, and the
// differences that a step finds in the stages of its life. In all its texts NS
// stands for the namespace of the test and GROUP for an API group of its own.
//
// Differences are written as "Kind/name" and a path of kubefields.Flatten, such as
// "ConfigMap/app data/color"; an object that comes or goes is its name alone.
type sample struct {
	kind   string // of structure
	quick  bool   // part of make test
	meta   string // further lines of Chart.yaml
	values string // values.yaml
	set    string // the plan's values
	files  map[string]string
	next   map[string]string // files that version 2.0.0 has otherwise; "" if not at all
	noWait bool

	change  string   // values that are merged into those of the plan
	changes []string // the changes that they make

	drift drift

	upgrades []string // the changes of version 2.0.0
	gone     []string // objects that are not there afterwards
	stays    []string // objects that are there and no longer the release's

	// random are leaves that are new with each upgrade, which no edit shows.
	random []string
	// refused has, by stage, parts of the error and its hint.
	refused map[string][]string
}

// A drift is a field that another field manager changes. Its leaf is shown by the
// edit; without one the field is left alone.
type drift struct {
	object  string
	pointer string // RFC 6901
	value   any    // nil removes the field
	leaf    string
	manager string // kubectl-edit if empty
}

var stages = []string{"install", "again", "change", "drift", "upgrade", "again "}

// TestCorpus takes the charts of the corpus through their lives; with
// ZTPLAN_FULL=1, as in make corpus, all of them.
func TestCorpus(t *testing.T) {
	full := os.Getenv("ZTPLAN_FULL") != ""
	var samples []sample
	for _, group := range [][]sample{hookSamples(), valueSamples(t), randomSamples(t), objectSamples(), workloadSamples(), textSamples(), versionSamples()} {
		for _, s := range group {
			if full || s.quick {
				samples = append(samples, s)
			}
		}
	}
	rows, notes := make([][]string, len(samples)), make([]string, len(samples))
	t.Cleanup(func() {
		var b strings.Builder
		tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintf(tw, "structure\t%s\n", strings.Join(stages, "\t"))
		for i, s := range samples {
			for len(rows[i]) < len(stages) {
				rows[i] = append(rows[i], "-")
			}
			fmt.Fprintf(tw, "%s\t%s\n", s.kind, strings.Join(rows[i], "\t"))
		}
		tw.Flush()
		t.Logf("\n%s%s", b.String(), strings.Join(notes, ""))
	})
	for i, s := range samples {
		t.Run(strings.ReplaceAll(s.kind, " ", "-"), func(t *testing.T) {
			l := newLife(t, s)
			defer l.clear()
			for n, stage := range []func() error{l.install, l.again, l.changed, l.drifted, l.upgraded, l.again} {
				cell, err := "ok", stage()
				if parts, refused := s.refused[stages[n]]; refused {
					notes[i] = fmt.Sprintf("%s, %s: refused: %s\n", s.kind, stages[n], l.said(err))
					cell, err = "refused", l.isRefused(err, parts)
				}
				if err != nil {
					cell, notes[i] = "FAILED", fmt.Sprintf("%s, %s: FAILED: %v\n", s.kind, stages[n], err)
					t.Errorf("%s: %v", stages[n], err)
				}
				rows[i] = append(rows[i], cell)
				if err != nil || n == 0 && cell == "refused" {
					return
				}
			}
		})
	}
}

// A life is a sample at work in a namespace of its own.
type life struct {
	*fixture
	sample
	spec *helminstall.Spec
	refs map[string]kubekit.Ref // of all objects that it ever had, by "Kind/name"
}

func newLife(t *testing.T, s sample) *life {
	w := newFixture(t)
	l := &life{fixture: w, sample: s, refs: make(map[string]kubekit.Ref)}
	first, second := l.chart("1.0.0", s.files), l.chart("2.0.0", s.files, s.next)
	l.spec = w.spec(charttest.Serve(t, first, second), "app", "1.0.0")
	l.spec.Wait = !s.noWait
	l.spec.Values = l.yaml(s.set)
	return l
}

func (l *life) chart(version string, layers ...map[string]string) charttest.Chart {
	c := charttest.Chart{Name: "app", Version: version, Meta: l.here(l.meta), Values: l.here(l.values), Files: map[string]string{}}
	for _, files := range layers {
		for name, text := range files {
			switch {
			case text == "":
				delete(c.Files, name)
			case strings.HasSuffix(name, ".tgz"):
				c.Files[name] = text
			default:
				c.Files[name] = l.here(text)
			}
		}
	}
	return c
}

// packed is a chart as charts/ of another has it after helm dependency build.
func packed(t testing.TB, name string, files map[string]string) string {
	return string(charttest.Chart{Name: name, Version: "1.0.0", Files: files}.Pack(t))
}

func (l *life) group() string { return strings.ReplaceAll(l.namespace, "-", "") + ".example.com" }

// here puts the names of this test into a text of the sample; general takes them
// out of the step's messages.
func (l *life) here(text string) string {
	return strings.NewReplacer("GROUP", l.group(), "NS", l.namespace).Replace(text)
}

func (l *life) general(text string) string {
	return strings.NewReplacer(l.group(), "GROUP", "/"+l.namespace+"/", "/", l.namespace, "NS").Replace(text)
}

func (l *life) yaml(text string) map[string]any {
	v, err := kubeyaml.Unmarshal([]byte(l.here(text)))
	if err != nil {
		l.t.Fatal(err)
	}
	m, _ := v.(map[string]any)
	return m
}

func (l *life) install() error {
	if _, err := l.one(); err != nil {
		return err
	}
	_, applied, err := l.settle(l.spec)
	if err != nil {
		return err
	}
	for _, path := range applied {
		if path != "crds" && !strings.HasPrefix(path, "release/") {
			return fmt.Errorf("applied %v, want nothing but the release", applied)
		}
	}
	_, err = l.snapshot()
	return err
}

// again is a run in which nothing has changed. That it writes nothing follows from
// that it finds nothing: the cluster refuses writes of a look.
func (l *life) again() error {
	l.fixture.again()
	before, err := l.snapshot()
	if err != nil {
		return err
	}
	_, edits, err := l.look(l.spec)
	if err != nil {
		return err
	}
	for _, e := range edits {
		return fmt.Errorf("%s differs: %s", l.general(e.Path), leafText(e))
	}
	return l.same(before, nil)
}

func (l *life) changed() error {
	old := l.spec.Values
	l.spec.Values = map[string]any{}
	maps.Copy(l.spec.Values, old)
	maps.Copy(l.spec.Values, l.yaml(l.change))
	err := l.upgrade(l.changes)
	if err != nil {
		l.spec.Values = old
	}
	return err
}

func (l *life) upgraded() error {
	l.spec.Version = "2.0.0"
	if err := l.upgrade(l.upgrades); err != nil {
		l.spec.Version = "1.0.0"
		return err
	}
	for _, name := range l.sample.gone {
		if o, err := l.object(name); err != nil || o != nil {
			return fmt.Errorf("%s is still there, %v", name, err)
		}
	}
	for _, name := range l.stays {
		if o, err := l.object(name); err != nil || o == nil {
			return fmt.Errorf("%s is not there, %v", name, err)
		}
	}
	return nil
}

// upgrade makes the one edit of the release, which shows exactly its changes.
func (l *life) upgrade(want []string) error {
	l.fixture.again()
	before, err := l.snapshot()
	if err != nil {
		return err
	}
	e, err := l.one()
	if err != nil {
		return err
	}
	shown := map[string]bool{}
	for _, side := range []any{e.Have, e.Want} {
		side, _ := side.(map[string]any)
		objects, _ := side["objects"].(map[string]any)
		for ref, v := range objects {
			name := l.general(ref)
			leaves, changes := v.(map[string]any)
			if before[name] == nil || !changes {
				shown[name] = true
				continue
			}
			for leaf := range leaves {
				shown[name+" "+l.general(leaf)] = true
			}
		}
	}
	if got := slices.Sorted(maps.Keys(shown)); !equal(got, want) {
		return fmt.Errorf("the edit shows %q, want %q: %s", got, want, leafText(e))
	}
	out, applied, err := l.settle(l.spec)
	if err != nil {
		return err
	}
	if len(applied) != 1 {
		return fmt.Errorf("applied %v with revision %d, want one upgrade", applied, out.Revision)
	}
	if err := l.same(before, append(slices.Clone(want), l.random...)); err != nil {
		return err
	}
	return l.again()
}

func (l *life) drifted() error {
	l.fixture.again()
	before, err := l.snapshot()
	if err != nil {
		return err
	}
	if err := l.disturb(); err != nil {
		return err
	}
	_, edits, err := l.look(l.spec)
	if err != nil {
		return err
	}
	edits = slices.DeleteFunc(edits, func(e engine.Edit) bool { return e.Apply == nil })
	if l.sample.drift.leaf == "" {
		if len(edits) > 0 {
			return fmt.Errorf("%s differs: %s", l.general(edits[0].Path), leafText(edits[0]))
		}
		_, _, err := l.settle(l.spec)
		return err
	}
	if len(edits) != 1 || l.general(edits[0].Path) != l.sample.drift.object {
		return fmt.Errorf("found %v, want an edit of %s", paths(edits), l.sample.drift.object)
	}
	shown := map[string]bool{}
	for _, side := range []any{edits[0].Have, edits[0].Want} {
		leaves, _ := side.(map[string]any)
		for leaf := range leaves {
			shown[l.general(leaf)] = true
		}
	}
	if got := slices.Sorted(maps.Keys(shown)); !equal(got, []string{l.sample.drift.leaf}) {
		return fmt.Errorf("the edit shows %q, want %q", got, l.sample.drift.leaf)
	}
	if _, applied, err := l.settle(l.spec); err != nil || len(applied) != 1 {
		return fmt.Errorf("applied %v: %w", applied, err)
	}
	if err := l.same(before, nil); err != nil {
		return err
	}
	return l.again()
}

// disturb makes the drift.
func (l *life) disturb() error {
	d := l.sample.drift
	ref, ok := l.refs[d.object]
	if !ok {
		return fmt.Errorf("the release has no %s, but %v", d.object, slices.Sorted(maps.Keys(l.refs)))
	}
	op := map[string]any{"op": "add", "path": d.pointer, "value": d.value}
	if d.value == nil {
		op = map[string]any{"op": "remove", "path": d.pointer}
	}
	patch, err := json.Marshal([]any{op})
	if err != nil {
		return err
	}
	resource, err := l.cluster.Resource(ref.GVK(), ref.Namespace)
	if err != nil {
		return err
	}
	manager := d.manager
	if manager == "" {
		manager = "kubectl-edit"
	}
	_, err = resource.Patch(engine.AllowWrites(l.t.Context()), ref.Name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: manager})
	return err
}

// one looks for the one edit of the release.
func (l *life) one() (engine.Edit, error) {
	_, edits, err := l.look(l.spec)
	if err != nil {
		return engine.Edit{}, err
	}
	edits = slices.DeleteFunc(edits, func(e engine.Edit) bool { return e.Path == "crds" })
	if len(edits) != 1 || edits[0].Path != "release/"+l.namespace+"/app" {
		return engine.Edit{}, fmt.Errorf("found %v, want one edit of the release", paths(edits))
	}
	return edits[0], nil
}

// isRefused requires a permanent error of a look that has all parts.
func (l *life) isRefused(err error, parts []string) error {
	if !errors.Is(err, engine.ErrPermanent) {
		return fmt.Errorf("not refused for good: %v", err)
	}
	said := l.general(err.Error()) + "; " + engine.HintOf(err)
	for _, part := range parts {
		if !strings.Contains(said, part) {
			return fmt.Errorf("%q does not say %q", said, part)
		}
	}
	if strings.HasPrefix(said, "applying ") {
		return fmt.Errorf("the dry run did not see it: %s", said)
	}
	return nil
}

// said is an error with its hint, as far as a line takes it.
func (l *life) said(err error) string {
	if err == nil {
		return "nothing"
	}
	text := l.general(err.Error())
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i] + " …"
	}
	if len(text) > 500 {
		text = text[:200] + " … " + text[len(text)-200:]
	}
	return text + "; " + engine.HintOf(err)
}

// snapshot returns the leaves of all objects that the release has or had, by
// "Kind/name", without the fields that controllers and the API server write.
func (l *life) snapshot() (map[string]map[string]any, error) {
	r, err := release.Read(l.t.Context(), l.cluster, l.namespace, l.spec.Chart)
	if err != nil {
		return nil, err
	}
	if r != nil {
		stored, err := driver.NewSecrets(l.cluster.Client().CoreV1().Secrets(l.namespace)).Get(r.Watch().Ref.Name)
		if err != nil {
			return nil, err
		}
		manifests := []string{r.Manifest}
		for _, h := range stored.Hooks {
			manifests = append(manifests, h.Manifest)
		}
		for _, m := range manifests {
			objects, err := manifest.Objects(m)
			if err != nil {
				return nil, err
			}
			for _, o := range objects {
				l.remember(o)
			}
		}
	}
	all := make(map[string]map[string]any)
	for name := range l.refs {
		o, err := l.object(name)
		if err != nil {
			return nil, err
		}
		if o == nil || slices.ContainsFunc(slices.Collect(maps.Keys(o.GetAnnotations())), func(k string) bool { return k == "helm.sh/hook" }) {
			continue
		}
		for _, status := range []string{"deployment.kubernetes.io/revision", "autoscaling.alpha.kubernetes.io/conditions", "autoscaling.alpha.kubernetes.io/current-metrics"} {
			unstructured.RemoveNestedField(o.Object, "metadata", "annotations", status)
		}
		all[name] = kubefields.Flatten(o.Object)
		all[name]["metadata/uid"] = o.GetUID() // another one was made anew
	}
	return all, nil
}

func (l *life) remember(o *unstructured.Unstructured) {
	ref := kubekit.RefOf(o)
	m, err := l.cluster.Mapper().RESTMapping(ref.GVK().GroupKind(), ref.GVK().Version)
	if err != nil || ref.Name == "" {
		return
	}
	if m.Scope.Name() == "root" {
		ref.Namespace = ""
	} else if ref.Namespace == "" {
		ref.Namespace = l.namespace
	}
	if name := l.general(ref.String()); l.refs[name] == (kubekit.Ref{}) {
		l.refs[name] = ref // in the version of its kind that came first
	}
}

// object returns an object that the release has or had, nil if it is not there.
func (l *life) object(name string) (*unstructured.Unstructured, error) {
	ref, ok := l.refs[name]
	if !ok {
		return nil, fmt.Errorf("the release never had %s, but %v", name, slices.Sorted(maps.Keys(l.refs)))
	}
	objects, err := l.cluster.Read(l.t.Context(), ref)
	if err != nil {
		return nil, err
	}
	return objects[0], nil
}

// same requires that nothing but want differs from before.
func (l *life) same(before map[string]map[string]any, want []string) error {
	after, err := l.snapshot()
	if err != nil {
		return err
	}
	var got []string
	for name := range l.refs {
		was, is := before[name], after[name]
		if (was == nil) != (is == nil) {
			got = append(got, name)
			continue
		}
		have, now := kubefields.Differing(was, is)
		maps.Copy(have, now)
		for leaf := range have {
			got = append(got, name+" "+l.general(leaf))
		}
	}
	if !equal(got, want) {
		slices.Sort(got)
		return fmt.Errorf("changed %q, want %q", got, want)
	}
	return nil
}

func equal(got, want []string) bool {
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	return slices.Equal(got, want)
}

// clear removes the sample's objects outside of the test's namespace.
func (l *life) clear() {
	ctx, cancel := context.WithTimeout(engine.AllowWrites(context.Background()), 30*time.Second)
	defer cancel()
	for name, text := range l.files {
		if objects, err := manifest.Objects(l.here(text)); strings.HasPrefix(name, "crds/") && err == nil {
			for _, o := range objects {
				l.remember(o)
			}
		}
	}
	for _, ref := range l.refs {
		if ref.Namespace == l.namespace {
			continue
		}
		resource, err := l.cluster.Resource(ref.GVK(), ref.Namespace)
		if err == nil {
			err = resource.Delete(ctx, ref.Name, metav1.DeleteOptions{})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			l.t.Errorf("%s: %v", ref, err)
		}
	}
}
