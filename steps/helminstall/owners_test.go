package helminstall_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

// The objects of a chart are compared with the manifests of the plan: before it is
// installed, so in a dry run as well, and again when it is there.
func TestTwoOwners(t *testing.T) {
	w := newFixture(t)
	repo := charttest.Serve(t, settings("1.0.0"))
	s := w.spec(repo, "settings", "1.0.0")
	cases := map[string]struct {
		manifest string
		clash    string // the field; "" if there is none
	}{
		"another value":   {`{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: green}}`, "ConfigMap/NS/settings/data/color"},
		"the same value":  {manifest: `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: blue}}`},
		"a field beside":  {manifest: `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, labels: {team: a}}, data: {shape: round}}`},
		"Helm's mark":     {`{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, labels: {app.kubernetes.io/managed-by: me}}}`, "ConfigMap/NS/settings/metadata/labels/app.kubernetes.io/managed-by"},
		"made at random":  {`{apiVersion: v1, kind: Secret, metadata: {name: settings-random}, stringData: {value: mine}}`, "Secret/NS/settings-random/data/value"},
		"a secret":        {`{apiVersion: v1, kind: Secret, metadata: {name: settings-random}, stringData: {key: mine}}`, "Secret/NS/settings-random/data/key"},
		"the same, coded": {manifest: `{apiVersion: v1, kind: Secret, metadata: {name: settings-random}, data: {key: bm9uZQ==}}`},
		"the namespace":   {manifest: `{apiVersion: v1, kind: Namespace, metadata: {name: NS, labels: {istio-injection: enabled}}}`},
		"another object":  {manifest: `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: default}, data: {color: green}}`},
		"another kind":    {manifest: `{apiVersion: serving.example.com/v1, kind: ConfigMap, metadata: {name: settings}, data: {color: green}}`},
	}
	look := func(t *testing.T, when string) {
		for name, c := range cases {
			w.again()
			w.env.Claims = new(engine.Claims)
			if clashes := w.env.Claims.Add("other", w.manifest(c.manifest).Claims("p", nil)); len(clashes) > 0 {
				t.Fatal(clashes)
			}
			_, _, err := w.look(s)
			want := strings.ReplaceAll(c.clash, "NS", w.namespace)
			switch {
			case want == "" && err != nil:
				t.Errorf("%s, %s: %v", name, when, err)
			case want != "" && (!errors.Is(err, engine.ErrPlan) || err.Error() != want+" is what step other makes as well, and differently"):
				t.Errorf("%s, %s: got error %v", name, when, err)
			case err != nil && (strings.Contains(err.Error(), "mine") || engine.HintOf(err) == ""):
				t.Errorf("%s, %s: %v, hint %q", name, when, err, engine.HintOf(err))
			}
		}
	}
	look(t, "before it is installed")
	w.env.Claims = nil
	w.converge(s)
	look(t, "when it is there")
}

// No object is in two releases, for any content of their charts.
func TestTwoReleases(t *testing.T) {
	w := newFixture(t)
	chart := func(name string) charttest.Chart {
		return charttest.Chart{Name: name, Version: "1.0.0", Files: map[string]string{"templates/all.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: shared}
data: {a: b}
`}}
	}
	repo := charttest.Serve(t, chart("one"), chart("two"))
	w.env.Claims = new(engine.Claims)
	one, two := w.spec(repo, "one", "1.0.0"), w.spec(repo, "two", "1.0.0")
	two.TakeOwnership = true
	for range 2 { // a step may look often
		w.env.Step = "one"
		w.edits(one)
	}
	w.env.Step = "two"
	_, _, err := w.look(two)
	permanent(t, err, "ConfigMap/"+w.namespace+"/shared/metadata/annotations/meta.helm.sh/release-name is what step one makes as well")
}

// A run in which a step changes fields that a release wrote before it fails, even
// where nothing was claimed; so does one whose release takes away an object that
// another step made.
func TestLedgerSeesObjects(t *testing.T) {
	w := newFixture(t)
	with := settings("1.0.0")
	without := settings("2.0.0")
	delete(without.Files, "templates/configmap.yaml")
	repo := charttest.Serve(t, with, without)
	node := func(id string, kind *engine.Kind, spec any, needs ...string) run.Node {
		return run.Node{ID: id, Kind: kind, Policy: kind.Policy, Needs: needs, Spec: func(run.Outputs) (any, error) { return spec, nil }}
	}
	converge := func(nodes ...run.Node) error {
		w.again()
		_, err := run.Run(t.Context(), nodes, run.Options{Env: *w.env})
		return err
	}
	manifest := w.manifest(`{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: green}}`)
	manifest.Force = true
	object := "ConfigMap/" + w.namespace + "/settings"
	err := converge(node("app", helminstall.Kind, w.spec(repo, "settings", "1.0.0")), node("own", applymanifest.Kind, manifest, "app"))
	if err == nil || !strings.Contains(err.Error(), object+": step app wrote it in this run, and step own wants it otherwise") {
		t.Errorf("a manifest after a release: %v", err)
	}
	if err := converge(node("app", helminstall.Kind, w.spec(repo, "settings", "1.0.0"))); err != nil {
		t.Fatal(err)
	}
	manifest = w.manifest(`{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {shape: round}}`)
	err = converge(node("own", applymanifest.Kind, manifest), node("app", helminstall.Kind, w.spec(repo, "settings", "2.0.0"), "own"))
	if err == nil || !strings.Contains(err.Error(), "step own wrote "+object+" in this run, and step app wants it otherwise") {
		t.Errorf("a release that removes what a manifest is about: %v", err)
	}
}

// manifest is a step that applies one object under a field manager of its own; NS
// in it stands for the test's namespace.
func (w *fixture) manifest(text string) *applymanifest.Spec {
	s := applymanifest.Kind.New().(*applymanifest.Spec)
	s.Namespace, s.FieldManager = w.namespace, "other"
	s.Manifests = strings.ReplaceAll(text, "NS", w.namespace)
	return s
}
