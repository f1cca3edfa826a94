package helminstall_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/session"
)

// plain shows secrets as their length, so that edits can be compared.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = plain(e)
		}
		return out
	case engine.Secret:
		return fmt.Sprintf("%d secret characters", len(v.Reveal()))
	}
	return v
}

func TestInstallUpgradeAndRest(t *testing.T) {
	w := newFixture(t)
	repo := charttest.Serve(t, settings("1.0.0"), settings("1.1.0"))
	s := w.spec(repo, "settings", "1.0.0")
	s.Values = map[string]any{"color": "red", "adminKey": "abc", "extra": map[string]any{"anything": 1}}

	config, secret, hook := "ConfigMap/"+w.namespace+"/settings", "Secret/"+w.namespace+"/settings-random", "ConfigMap/"+w.namespace+"/settings-hook"
	type m = map[string]any
	e := only(t, w.edits(s))
	want := engine.Edit{Path: "release/" + w.namespace + "/settings", Want: m{
		"chart": "settings", "version": "1.0.0", "appVersion": "v1.0.0",
		"values": m{"color": "red", "adminKey": "3 secret characters", "extra.anything": 1.0},
		"objects": m{
			config: m{"data/color": "red", "data/size": "1", "data/version": "1.0.0"},
			secret: m{"data/value": "(random)", "data/key": "4 secret characters"}, // abc in base64
		},
		"hooks": m{"post-install " + hook: m{"data/install": "true", "data/revision": "1", "metadata/annotations/helm.sh/hook": "post-install,post-upgrade"}},
	}}
	if d := cmp.Diff([]any{want.Path, want.Have, want.Want}, []any{e.Path, e.Have, plain(e.Want)}); d != "" {
		t.Errorf("install (-want +got):\n%s", d)
	}

	out, _ := w.converge(s)
	if out.Revision != 1 || out.Version != "1.0.0" || out.AppVersion != "v1.0.0" || len(out.ManifestDigest) != 64 || out.Release != "settings" {
		t.Errorf("outputs %+v", out)
	}
	random := w.secret("settings-random").Data["value"]

	// The same again, in another run, with a default written out: no change.
	w.again()
	s.Values["size"] = 1
	if edits := w.edits(s); len(edits) != 0 {
		t.Errorf("a second run finds %v", paths(edits))
	}

	// A value: one edit that shows the changes.
	s.Values["color"], s.Values["adminKey"] = "green", "abcd"
	e = only(t, w.edits(s))
	upgradeHook := func(revision string) m {
		return m{"post-upgrade " + hook: m{"data/install": "false", "data/revision": revision, "metadata/annotations/helm.sh/hook": "post-install,post-upgrade"}}
	}
	wantHave := m{
		"values":  m{"color": "red", "adminKey": "3 secret characters"},
		"objects": m{config: m{"data/color": "red"}, secret: m{"data/key": "4 secret characters"}},
	}
	wantWant := m{
		"values":  m{"color": "green", "adminKey": "4 secret characters"},
		"objects": m{config: m{"data/color": "green"}, secret: m{"data/key": "8 secret characters"}},
		"hooks":   upgradeHook("2"),
	}
	if d := cmp.Diff([]any{wantHave, wantWant}, []any{plain(e.Have), plain(e.Want)}); d != "" {
		t.Errorf("change of values (-want +got):\n%s", d)
	}
	out, _ = w.converge(s)
	if out.Revision != 2 {
		t.Errorf("revision %d after a change of values, want 2", out.Revision)
	}
	if got := w.configMap("settings").Data["color"]; got != "green" {
		t.Errorf("color %q, want green", got)
	}
	if string(w.secret("settings-random").Data["value"]) == string(random) {
		t.Error("the chart's random secret is the same after an upgrade: the test proves nothing about idleness")
	}

	// A version.
	s.Version = "1.1.0"
	e = only(t, w.edits(s))
	wantHave = m{"version": "1.0.0", "appVersion": "v1.0.0", "objects": m{config: m{"data/version": "1.0.0"}}}
	wantWant = m{"version": "1.1.0", "appVersion": "v1.1.0", "objects": m{config: m{"data/version": "1.1.0"}}, "hooks": upgradeHook("3")}
	if d := cmp.Diff([]any{wantHave, wantWant}, []any{plain(e.Have), plain(e.Want)}); d != "" {
		t.Errorf("change of version (-want +got):\n%s", d)
	}
	out, _ = w.converge(s)
	if trace := w.configMap("settings-hook").Data; out.Revision != 3 || trace["revision"] != "3" {
		t.Errorf("revision %d, hook of revision %s, want 3 and 3", out.Revision, trace["revision"])
	}

	// Back: the plan asks for it, and the release is ours.
	s.Version = "1.0.0"
	if e = only(t, w.edits(s)); e.Note != "a downgrade" {
		t.Errorf("note %q, want a downgrade", e.Note)
	}
}

func TestContentOfTheSameVersion(t *testing.T) {
	w := newFixture(t)
	w.converge(w.spec(charttest.Serve(t, settings("1.0.0")), "settings", "1.0.0"))
	other := settings("1.0.0")
	other.Values = strings.Replace(other.Values, "blue", "black", 1) // defaults are not stored by Helm
	w.again()
	s := w.spec(charttest.Serve(t, other), "settings", "1.0.0")
	e := only(t, w.edits(s))
	if m, _ := e.Want.(map[string]any); m["content"] == nil {
		t.Errorf("another archive of the same version shows as %v", e.Want)
	}
	w.converge(s)
	if got := w.configMap("settings").Data["color"]; got != "black" {
		t.Errorf("color %q, want black", got)
	}
}

func TestMissingObjects(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, settings("1.0.0")), "settings", "1.0.0")
	w.converge(s)
	random := w.secret("settings-random")
	secrets := w.cluster.Client().CoreV1().Secrets(w.namespace)
	if err := secrets.Delete(engine.AllowWrites(t.Context()), random.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e := only(t, w.edits(s))
	if e.Path != "Secret/"+w.namespace+"/settings-random" || e.Have != nil {
		t.Errorf("a missing object shows as %s, have %v", e.Path, e.Have)
	}
	out, _ := w.converge(s)
	back := w.secret("settings-random")
	if d := cmp.Diff(random.Data, back.Data); d != "" || out.Revision != 1 {
		t.Errorf("revision %d; not what the release has (-want +got):\n%s", out.Revision, d)
	}
	if d := cmp.Diff(random.Annotations, back.Annotations); d != "" {
		t.Errorf("Helm would not know it as its own (-want +got):\n%s", d)
	}
	// Helm still manages it.
	s.Values = map[string]any{"color": "red"}
	w.converge(s)
}

func TestRefusals(t *testing.T) {
	w := newFixture(t)
	other := settings("1.0.0")
	other.Name = "other"
	repo := charttest.Serve(t, settings("1.0.0"), settings("1.1.0"), settings("2.0.0-rc.1"), other)
	s := w.spec(repo, "settings", "1.1.0")
	w.converge(s)

	t.Run("another chart", func(t *testing.T) {
		s := w.spec(repo, "other", "1.0.0")
		s.Release = "settings"
		_, _, err := w.look(s)
		permanent(t, err, "is of chart settings 1.1.0", "chart other", "another release name")
	})
	t.Run("no such version", func(t *testing.T) {
		_, _, err := w.look(w.spec(repo, "settings", "1.0.7"))
		permanent(t, err, "no version 1.0.7", repo.URL, "1.1.0, 1.0.0", "set version")
	})
	t.Run("no such chart", func(t *testing.T) {
		_, _, err := w.look(w.spec(repo, "setings", "1.0.0"))
		permanent(t, err, "chart setings is not in "+repo.URL, "settings")
	})
	t.Run("its mirror is named", func(t *testing.T) {
		settings := session.Of(w.env)
		settings.Mirrors = append(settings.Mirrors, session.Mirror{From: "https://charts.example.com/stable", To: repo.URL})
		w.env.Settings = settings
		s := w.spec(repo, "settings", "9.0.0")
		s.Repo = "https://charts.example.com/stable"
		_, _, err := w.look(s)
		permanent(t, err, "https://charts.example.com/stable (fetched from its mirror "+repo.URL)
	})
	t.Run("strict", func(t *testing.T) {
		s := w.spec(repo, "settings", "1.1.0")
		s.Values, s.Strict = map[string]any{"colour": "red"}, true
		_, _, err := w.look(s)
		permanent(t, err, "colour (did you mean color?)")
	})
	t.Run("a newer release of somebody else", func(t *testing.T) {
		// As after the helm command: no label of ztplan for this revision.
		w.patchRelease("sh.helm.release.v1.settings.v1", map[string]any{"ztplan.dev/chart": nil})
		_, _, err := w.look(w.spec(repo, "settings", "1.0.0"))
		permanent(t, err, "newer than the plan's 1.0.0", "set version to 1.1.0")
	})
	t.Run("what agrees is taken over", func(t *testing.T) {
		if edits := w.edits(s); len(edits) != 0 {
			t.Errorf("found %v", paths(edits))
		}
	})
	t.Run("no namespace", func(t *testing.T) {
		s := w.spec(repo, "settings", "1.1.0")
		s.Namespace, s.CreateNamespace = w.namespace+"-absent", false
		_, _, err := w.look(s)
		permanent(t, err, "does not exist", "createNamespace")
	})
	t.Run("an object of somebody else", func(t *testing.T) {
		_, err := w.cluster.Client().CoreV1().ConfigMaps(w.namespace).Create(engine.AllowWrites(t.Context()),
			&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s := w.spec(repo, "other", "1.0.0")
		s.Release = "foreign"
		_, _, err = w.look(s)
		permanent(t, err, "ConfigMap/"+w.namespace+"/foreign exists, belongs to no release and cannot be imported", "takeOwnership")
		s.TakeOwnership = true
		w.converge(s)
	})
}

func TestSchemaAndUnknownValues(t *testing.T) {
	w := newFixture(t)
	c := settings("1.0.0")
	c.Files["values.schema.json"] = `{"properties": {"size": {"type": "integer"}}}`
	repo := charttest.Serve(t, c)
	s := w.spec(repo, "settings", "1.0.0")
	s.Values = map[string]any{"size": "large"}
	_, _, err := w.look(s)
	permanent(t, err, "size", "chart settings 1.0.0")

	w.again()
	s.Values = map[string]any{"colour": "red", "size": 2}
	w.edits(s)
	w.edits(s)
	want := "values: chart settings 1.0.0 does not know colour and ignores it: did you mean color?"
	if got := w.warnings.String(); got != want {
		t.Errorf("warnings\n%s\nwant, once,\n%s", got, want)
	}
}

// slow is a chart with a hook Job that never ends.
func slow() charttest.Chart {
	c := settings("1.0.0")
	c.Name = "slow"
	c.Values += "job: true\n"
	c.Files["templates/job.yaml"] = `
{{- if .Values.job }}
apiVersion: batch/v1
kind: Job
metadata:
  name: "{{ .Release.Name }}-wait"
  annotations: {helm.sh/hook: "post-install,post-upgrade"}
spec:
  suspend: true # it never ends
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers: [{name: wait, image: example.com/never-ends:1}]
{{- end }}
`
	return c
}

func TestInterruptedInstall(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, slow()), "slow", "1.0.0")
	e := only(t, w.edits(s))
	ctx, cancel := context.WithCancel(engine.AllowWrites(t.Context()))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- e.Apply(ctx) }()
	w.awaitStatus("sh.helm.release.v1.slow.v1", "pending-install")
	w.awaitJob("slow-wait")

	// Meanwhile another look sees somebody at work, and only waits.
	busy := only(t, w.edits(s))
	if busy.Apply != nil || busy.Await == nil || !strings.Contains(fmt.Sprint(busy.Have), "pending-install") {
		t.Errorf("a release that somebody installs shows as %+v", busy)
	}

	began := time.Now()
	cancel()
	err := <-done
	if !errors.Is(err, context.Canceled) || engine.HintOf(err) == "" {
		t.Errorf("interrupted: error %v, hint %q", err, engine.HintOf(err))
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the interrupted edit took %v to end", took)
	}

	// The release is recorded as failed: the next run goes on at once.
	w.again()
	s.Values = map[string]any{"job": false}
	before := w.configMap("slow")
	e = only(t, w.edits(s))
	if have, _ := e.Have.(map[string]any); have["status"] != "failed" {
		t.Errorf("have %v, want status failed", e.Have)
	}
	out, _ := w.converge(s)
	after := w.configMap("slow")
	if before.UID != after.UID {
		t.Error("the ConfigMap was made anew: something was deleted")
	}
	if got := w.configMap("slow-hook").Data["install"]; out.Revision != 2 || got != "true" {
		t.Errorf("revision %d, install hook ran: %s; want 2 and true", out.Revision, got)
	}
}

func TestForeignPendingUpgrade(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, settings("1.0.0")), "settings", "1.0.0")
	w.converge(s)
	s.Values = map[string]any{"color": "red"}
	w.converge(s)
	// As a helm command leaves it that was killed just now.
	w.setStatus("settings", 2, "pending-upgrade")
	w.patchRelease("sh.helm.release.v1.settings.v2", map[string]any{"ztplan.dev/owner": nil, "ztplan.dev/until": nil})
	if e := only(t, w.edits(s)); e.Apply != nil || !strings.Contains(fmt.Sprint(e.Have), "pending-upgrade") || !strings.Contains(e.Note, "at the latest at ") {
		t.Errorf("a release that may be in work shows as %+v", e)
	}
	// And an hour later.
	w.env.Now = func() time.Time { return time.Now().Add(time.Hour) }
	e := only(t, w.edits(s))
	if e.Apply == nil || !strings.Contains(e.Note, "cut off") {
		t.Errorf("a release that was cut off shows as %+v", e)
	}
	if out, _ := w.converge(s); out.Revision != 3 {
		t.Errorf("revision %d, want 3", out.Revision)
	}
}

func TestReadiness(t *testing.T) {
	w := newFixture(t)
	gated := charttest.Chart{Name: "gated", Version: "1.0.0", Files: map[string]string{
		"templates/all.yaml": `
apiVersion: v1
kind: Service
metadata: {name: hook}
spec: {ports: [{port: 443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: "{{ .Release.Namespace }}"}
webhooks:
- name: gate.example.com
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
  clientConfig: {service: {name: hook, namespace: "{{ .Release.Namespace }}"}}
  rules: [{apiGroups: [gate.example.com], apiVersions: [v1], operations: [CREATE], resources: [gates]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: inert}
spec:
  selector: {matchLabels: {app: inert}}
  template:
    metadata: {labels: {app: inert}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: example.com/inert:1}]
`}}
	t.Cleanup(func() { w.deleteWebhooks(w.namespace) })
	s := w.spec(charttest.Serve(t, gated), "gated", "1.0.0")
	if err := w.apply(only(t, w.edits(s))); err != nil {
		t.Fatal(err)
	}
	gate, service := "ValidatingWebhookConfiguration/"+w.namespace+"/caBundle", "Service/"+w.namespace+"/hook/endpoints"
	edits := w.awaitEdits(s, func(edits []engine.Edit) bool { return len(edits) == 2 })
	if d := cmp.Diff([]string{service, gate}, paths(edits)); d != "" {
		t.Fatalf("waits (-want +got):\n%s", d)
	}

	changed := make(chan error, 2)
	for _, e := range edits {
		go func() { changed <- e.Await(t.Context()) }()
	}
	w.openGate("hook")
	for range edits {
		if err := <-changed; err != nil {
			t.Errorf("await: %v", err)
		}
	}
	if _, applied := w.converge(s); len(applied) != 0 {
		t.Errorf("applied %v, want nothing but waiting", applied)
	}
	s.Wait = false
	if edits := w.edits(s); len(edits) != 0 {
		t.Errorf("wait: false finds %v", paths(edits))
	}
}

func TestCRDs(t *testing.T) {
	w := newFixture(t)
	group := strings.ReplaceAll(w.namespace, "-", "") + ".example.com"
	crd := func(versions string) string {
		return `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gates.` + group + `}
spec:
  group: ` + group + `
  scope: Namespaced
  names: {plural: gates, singular: gate, kind: Gate}
  versions:
` + versions
	}
	const v1 = "  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}\n"
	const v2 = "  - {name: v2, served: true, storage: false, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}\n"
	c := charttest.Chart{Name: "gates", Version: "1.0.0", Files: map[string]string{
		"crds/gates.yaml":    crd(v1),
		"templates/one.yaml": "apiVersion: " + group + "/v1\nkind: Gate\nmetadata: {name: one}\n",
	}}
	newer := charttest.Chart{Name: "gates", Version: "1.1.0", Files: map[string]string{
		"crds/gates.yaml":    crd(v1 + v2),
		"templates/one.yaml": c.Files["templates/one.yaml"],
	}}
	repo := charttest.Serve(t, c, newer)
	t.Cleanup(func() { w.deleteCRD("gates." + group) })

	s := w.spec(repo, "gates", "1.0.0")
	_, applied := w.converge(s)
	if d := cmp.Diff([]string{"crds", "release/" + w.namespace + "/gates"}, applied); d != "" {
		t.Errorf("applied (-want +got):\n%s", d)
	}

	w.deleteCRD("gates." + group)
	edits := w.edits(s)
	if d := cmp.Diff([]string{"crds", "Gate/" + w.namespace + "/one"}, paths(edits)); d != "" {
		t.Errorf("without its CRD (-want +got):\n%s", d)
	}
	if d := cmp.Diff(any([]string{"gates." + group}), edits[0].Want); d != "" {
		t.Errorf("missing CRDs (-want +got):\n%s", d)
	}
	w.converge(s)

	w.again()
	w.converge(w.spec(repo, "gates", "1.1.0"))
	if got := w.warnings.String(); !strings.Contains(got, "lacks version v2") {
		t.Errorf("warnings %q do not say that the CRD is older than the chart's", got)
	}

	s.SkipCRDs = true
	w.deleteCRD("gates." + group)
	if got := paths(w.edits(s)); len(got) == 0 || got[0] == "crds" {
		t.Errorf("skipCRDs: true finds %v", got)
	}
}

// A definition that is there and is not established is waited for before the
// release: here another one has taken its kind.
func TestCRDThatIsNotEstablished(t *testing.T) {
	w := newFixture(t)
	group := strings.ReplaceAll(w.namespace, "-", "") + ".example.com"
	crd := func(plural string) string {
		return `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ` + plural + "." + group + `}
spec:
  group: ` + group + `
  scope: Namespaced
  names: {plural: ` + plural + `, singular: ` + plural + `x, kind: Gate}
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`
	}
	const object = "templates/one.yaml"
	files := map[string]string{"crds/gates.yaml": crd("gates"), object: "apiVersion: " + group + "/v1\nkind: Gate\nmetadata: {name: one}\n"}
	repo := charttest.Serve(t,
		charttest.Chart{Name: "first", Version: "1.0.0", Files: map[string]string{"crds/gates.yaml": crd("doors")}},
		charttest.Chart{Name: "gates", Version: "1.0.0", Files: files})
	t.Cleanup(func() { w.deleteCRD("gates." + group) })
	w.converge(w.spec(repo, "first", "1.0.0"))
	w.again()

	s := w.spec(repo, "gates", "1.0.0")
	edits := w.edits(s)
	ctx, cancel := context.WithTimeout(engine.AllowWrites(t.Context()), time.Second)
	defer cancel()
	if err := edits[0].Apply(ctx); err == nil {
		t.Fatal("it is established in spite of the conflict")
	}
	edits = w.edits(s)
	if got := paths(edits); len(got) == 0 || got[0] != "crds" {
		t.Fatalf("found %v, want the CRD to come before the release", got)
	}
	w.deleteCRD("doors." + group)
	if err := w.apply(edits[0]); err != nil {
		t.Errorf("when the other one is gone: %v", err)
	}
}

func TestContract(t *testing.T) {
	w := newFixture(t)
	repo := charttest.Serve(t, settings("1.0.0"))
	namespace := w.namespace + "-contract"
	t.Cleanup(func() { labtest.DeleteNamespace(t, w.env, namespace) })
	enginetest.Run(t, enginetest.Case{
		Kind: helminstall.Kind,
		Env:  w.env,
		Spec: func() any {
			s := w.spec(repo, "settings", "1.0.0")
			s.Namespace = namespace
			s.Values = map[string]any{"adminKey": "canary-5e3c1b"}
			return s
		},
		Secrets: []string{"canary-5e3c1b"},
	})
}

// The facts that are known of a release before it is upgraded hold after it.
func TestContractOfAnUpgrade(t *testing.T) {
	w := newFixture(t)
	repo := charttest.Serve(t, settings("1.0.0"), settings("1.1.0"))
	w.converge(w.spec(repo, "settings", "1.0.0"))
	w.again()
	enginetest.Run(t, enginetest.Case{
		Kind: helminstall.Kind,
		Env:  w.env,
		Spec: func() any { return w.spec(repo, "settings", "1.1.0") },
	})
}
