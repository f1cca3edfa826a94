package helmkit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	helmrelease "helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/release"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

func local(t *testing.T, c charttest.Chart) *chart.Chart {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "chart.tgz"), c.Pack(t), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := chart.Local(&engine.Env{Dir: dir}, chart.Source{Chart: "chart.tgz"})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// deployed is a release of a chart, made by ztplan if its digest is given.
func deployed(t *testing.T, c *chart.Chart, v values.Values, status helmrelease.Status, digest string) *release.Release {
	t.Helper()
	secret := metav1.ObjectMeta{Name: "sh.helm.release.v1.app.v3", Namespace: "ns"}
	if digest != "" {
		secret.Labels = map[string]string{"ztplan.dev/chart": "3-" + digest[:40]}
	}
	r, err := release.New(&helmrelease.Release{
		Name: "app", Version: 3, Chart: c.Parsed(), Config: v,
		Info: &helmrelease.Info{Status: status, Description: "Upgrade failed: timed out"},
	}, secret)
	if err != nil {
		t.Fatal(err)
	}
	r.EverDeployed = true
	return r
}

func TestCompare(t *testing.T) {
	app := func(version, template string) charttest.Chart {
		return charttest.Chart{Name: "app", Version: version, AppVersion: version + "-app", Values: "replicas: 1\nimage: {tag: a}\n",
			Files: map[string]string{"templates/a.yaml": template}}
	}
	one, other, two := local(t, app("1.0.0", "a")), local(t, app("1.0.0", "b")), local(t, app("2.0.0", "a"))
	type m = map[string]any
	for name, c := range map[string]struct {
		have       *release.Release
		chart      *chart.Chart
		values     values.Values
		none       bool
		haves, all m
		note       string
	}{
		"no release": {nil, one, values.Values{"replicas": 2.0}, false, nil,
			m{"chart": "app", "version": "1.0.0", "appVersion": "1.0.0-app", "values": m{"replicas": 2.0}}, ""},
		"the same": {deployed(t, one, nil, helmrelease.StatusDeployed, one.Digest), one, nil, true, nil, nil, ""},
		"values that repeat a default": {deployed(t, one, nil, helmrelease.StatusDeployed, one.Digest), one,
			values.Values{"replicas": 1.0, "image": m{"tag": "a"}}, true, nil, nil, ""},
		"another value": {deployed(t, one, values.Values{"replicas": 2.0}, helmrelease.StatusDeployed, one.Digest), one,
			values.Values{"image": m{"tag": "b"}}, false,
			m{"values": m{"image.tag": "a", "replicas": 2.0}}, m{"values": m{"image.tag": "b", "replicas": 1.0}}, ""},
		"an upgrade": {deployed(t, one, nil, helmrelease.StatusDeployed, one.Digest), two, nil, false,
			m{"version": "1.0.0", "appVersion": "1.0.0-app"}, m{"version": "2.0.0", "appVersion": "2.0.0-app"}, ""},
		"a downgrade": {deployed(t, two, nil, helmrelease.StatusDeployed, two.Digest), one, nil, false,
			m{"version": "2.0.0", "appVersion": "2.0.0-app"}, m{"version": "1.0.0", "appVersion": "1.0.0-app"}, "a downgrade"},
		"another archive of the version": {deployed(t, other, nil, helmrelease.StatusDeployed, other.Digest), one, nil, false,
			m{"content": "another archive of the same version"}, m{"content": "sha256 " + one.Digest}, ""},
		"helm's release of another archive": {deployed(t, other, nil, helmrelease.StatusDeployed, ""), one, nil, false,
			m{"content": "another archive of the same version"}, m{"content": "sha256 " + one.Digest}, ""},
		"helm's release of the same archive": {deployed(t, one, nil, helmrelease.StatusDeployed, ""), one, nil, true, nil, nil, ""},
		"a failed release": {deployed(t, one, nil, helmrelease.StatusFailed, one.Digest), one, nil, false,
			m{"status": "failed"}, m{"status": "deployed"}, "Upgrade failed: timed out: an upgrade completes it"},
		"a release that was cut off": {deployed(t, one, nil, helmrelease.StatusPendingUpgrade, one.Digest), one, nil, false,
			m{"status": "pending-upgrade"}, m{"status": "deployed"}, "an earlier operation was cut off: an upgrade completes it"},
		"a release that was uninstalled": {deployed(t, one, nil, helmrelease.StatusUninstalled, one.Digest), one, nil, false,
			m{"status": "uninstalled"}, m{"status": "deployed"}, "its history was kept when it was uninstalled"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Compare(c.have, c.chart, c.values)
			if err != nil {
				t.Fatal(err)
			}
			if c.none {
				if d != nil {
					t.Errorf("got %+v", d)
				}
				return
			}
			if d == nil {
				t.Fatal("no difference")
			}
			if x := cmp.Diff(c.haves, d.Have); x != "" {
				t.Errorf("have (-want +got):\n%s", x)
			}
			if x := cmp.Diff(c.all, d.Want); x != "" {
				t.Errorf("want (-want +got):\n%s", x)
			}
			if d.Note != c.note {
				t.Errorf("note %q, want %q", d.Note, c.note)
			}
		})
	}
	never := deployed(t, one, nil, helmrelease.StatusFailed, one.Digest)
	never.EverDeployed = false
	if d, err := Compare(never, one, nil); err != nil || !strings.HasSuffix(d.Note, "installed again over what is there; nothing is deleted") {
		t.Errorf("never deployed: %+v, %v", d, err)
	}
}

// A plan must not put its chart over a release of another one, nor go back behind
// a version that others installed.
func TestRefuse(t *testing.T) {
	named := func(name, version string) *chart.Chart {
		return local(t, charttest.Chart{Name: name, Version: version})
	}
	one, two, other := named("app", "1.0.0"), named("app", "2.0.0"), named("other", "1.0.0")
	for name, c := range map[string]struct {
		have *release.Release
		want *chart.Chart
		hint string // "" if it is not refused
	}{
		"no release":                          {nil, one, ""},
		"the same chart":                      {deployed(t, one, nil, helmrelease.StatusDeployed, one.Digest), one, ""},
		"another chart":                       {deployed(t, other, nil, helmrelease.StatusDeployed, other.Digest), one, "helm uninstall app -n ns"},
		"another chart, uninstalled":          {deployed(t, other, nil, helmrelease.StatusUninstalled, other.Digest), one, ""},
		"a downgrade of ztplan's":             {deployed(t, two, nil, helmrelease.StatusDeployed, two.Digest), one, ""},
		"a downgrade of another's":            {deployed(t, two, nil, helmrelease.StatusDeployed, ""), one, "helm rollback app -n ns"},
		"an upgrade of another's":             {deployed(t, one, nil, helmrelease.StatusDeployed, ""), two, ""},
		"a downgrade of another's, other way": {deployed(t, two, nil, helmrelease.StatusFailed, ""), one, "set version to 2.0.0"},
	} {
		err := Refuse(c.have, c.want)
		if (err != nil) != (c.hint != "") || !strings.Contains(engine.HintOf(err), c.hint) {
			t.Errorf("%s: got %v, hint %q", name, err, engine.HintOf(err))
		}
		if err != nil && !errors.Is(err, engine.ErrPermanent) {
			t.Errorf("%s: is tried again: %v", name, err)
		}
	}
}

func TestParts(t *testing.T) {
	d := &Difference{
		Have: map[string]any{"objects": map[string]any{"Service/b": 1, "ConfigMap/gone": "exists"}},
		Want: map[string]any{"objects": map[string]any{"Service/b": 2, "ConfigMap/a": "exists"}},
	}
	var got []string
	for _, e := range d.Parts() {
		got = append(got, fmt.Sprint(e.Path, " ", e.Have, " ", e.Want))
	}
	want := []string{"ConfigMap/a <nil> exists", "ConfigMap/gone exists <nil>", "Service/b 1 2"}
	if x := cmp.Diff(want, got); x != "" {
		t.Errorf("(-want +got):\n%s", x)
	}
	if parts := new(Difference).Parts(); len(parts) != 0 {
		t.Errorf("of nothing: %v", parts)
	}
}

// Values that the chart's schema refuses are found before anything is written.
func TestCheckValues(t *testing.T) {
	c := local(t, charttest.Chart{Name: "app", Version: "1.0.0", Values: "size: 1\n",
		Files: map[string]string{"values.schema.json": `{"properties": {"size": {"type": "integer"}}, "required": ["size"]}`}})
	for name, x := range map[string]struct {
		values values.Values
		want   string
	}{
		"right":           {values.Values{"size": 2.0}, ""},
		"the default":     {nil, ""},
		"of another type": {values.Values{"size": "big"}, "size"},
		"taken away":      {values.Values{"size": nil}, "size"},
	} {
		err := Check(t.Context(), nil, c, x.values)
		if (err != nil) != (x.want != "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && (!errors.Is(err, engine.ErrPermanent) || engine.HintOf(err) == "") {
			t.Errorf("%s: permanent %v, hint %q", name, errors.Is(err, engine.ErrPermanent), engine.HintOf(err))
		}
	}
}

func TestCRDs(t *testing.T) {
	crd := func(name string) string {
		return "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: " + name + "}\n"
	}
	c := local(t, charttest.Chart{Name: "app", Version: "1.0.0", Values: "sub: {enabled: false}\n",
		Meta: "dependencies: [{name: sub, version: 1.0.0, condition: sub.enabled}]\n",
		Files: map[string]string{
			"crds/a.yaml":            crd("a") + "---\n" + crd("b"),
			"crds/b.yaml":            crd("b") + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: no}\n",
			"charts/sub/Chart.yaml":  "apiVersion: v2\nname: sub\nversion: 1.0.0\n",
			"charts/sub/crds/c.yaml": crd("c"),
		}})
	for name, x := range map[string]struct {
		values values.Values
		want   []string
	}{
		"each once, and nothing else": {nil, []string{"a", "b"}},
		"of a subchart that is on":    {values.Values{"sub": map[string]any{"enabled": true}}, []string{"a", "b", "c"}},
	} {
		crds, err := CRDs(c, x.values)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(x.want, NamesOf(crds)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	broken := local(t, charttest.Chart{Name: "app", Version: "1.0.0", Files: map[string]string{"crds/a.yaml": "a: ["}})
	if _, err := CRDs(broken, nil); err == nil || !strings.Contains(err.Error(), "crds/a.yaml") {
		t.Errorf("a file that cannot be read: got %v", err)
	}
}

// A release that no Secret can hold is found before anything is installed.
func TestStorable(t *testing.T) {
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[rand.IntN(64)]
	}
	for name, c := range map[string]struct {
		manifest string
		fits     bool
	}{
		"small":                   {"a: 1", true},
		"large and compressible":  {strings.Repeat("a: 1\n", 1<<20), true},
		"larger than it may be":   {string(noise) + string(noise), false},
		"random but small enough": {string(noise[:600<<10]), true},
	} {
		o := &Operation{Name: "app", Namespace: "ns", Chart: local(t, charttest.Chart{Name: "app", Version: "1.0.0"})}
		err := o.storable(&Rendering{manifest: c.manifest})
		if (err == nil) != c.fits {
			t.Errorf("%s: got %v", name, err)
		}
		if err != nil && (!errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "take large files out")) {
			t.Errorf("%s: permanent %v, hint %q", name, errors.Is(err, engine.ErrPermanent), engine.HintOf(err))
		}
	}
}

// A chart that makes a password at random must not differ from itself for ever.
func TestRandomFields(t *testing.T) {
	config := func(name, password string) *unstructured.Unstructured {
		return object(t, fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {level: debug, password: %s}}", name, password))
	}
	first := &Rendering{Objects: []*unstructured.Unstructured{config("a", "x"), config("b", "z")}, Hooks: []RenderedHook{{Object: config("h", "1"), Event: "pre-install"}}}
	first.compareWith(&Rendering{Objects: []*unstructured.Unstructured{config("a", "y"), config("b", "z")}, Hooks: []RenderedHook{{Object: config("h", "2"), Event: "pre-install"}}})
	for name, want := range map[string]bool{"a": true, "b": false, "h": true} {
		paths := first.random[manifest.KeyOf(config(name, ""))]
		if paths["data/password"] != want || paths["data/level"] {
			t.Errorf("%s: random are %v", name, paths)
		}
	}
}

func TestCallsRandomFunctions(t *testing.T) {
	for template, want := range map[string]bool{
		"{{ randAlphaNum 8 }}":       true,
		"{{ genCA `a` 1 | toYaml }}": true,
		"{{ uuidv4 }}":               true,
		"{{ now | date `2006` }}":    true,
		"{{ .Values.random }}":       false,
		"randAlphaNum 8":             false,
		"{{ .Values.operand }}":      false,
	} {
		o := &Operation{Chart: local(t, charttest.Chart{Name: "app", Version: "1.0.0", Files: map[string]string{"templates/a.yaml": template}})}
		if got := o.calls(random); got != want {
			t.Errorf("%s: got %v", template, got)
		}
	}
	plain := local(t, charttest.Chart{Name: "app", Version: "1.0.0", Files: map[string]string{"templates/a.yaml": "{{ tpl .Values.a . }}"}})
	if o := (&Operation{Chart: plain, Values: values.Values{"a": "{{ randAscii 3 }}"}}); !o.calls(random) {
		t.Error("a value that a template evaluates does not count")
	}
	sub := local(t, charttest.Chart{Name: "app", Version: "1.0.0", Meta: "dependencies: [{name: sub, version: 1.0.0}]\n", Files: map[string]string{
		"charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 1.0.0\n", "charts/sub/templates/a.yaml": "{{ uuidv4 }}"}})
	if o := (&Operation{Chart: sub}); !o.calls(random) {
		t.Error("a subchart does not count")
	}
}

func TestInstallsOrUpgrades(t *testing.T) {
	for name, c := range map[string]struct {
		before *release.Release
		want   bool
	}{
		"nothing there":      {nil, true},
		"deployed":           {&release.Release{EverDeployed: true, Status: "deployed"}, false},
		"failed, once there": {&release.Release{EverDeployed: true, Status: "failed"}, false},
		"never deployed":     {&release.Release{Status: "failed"}, true},
		"uninstalled":        {&release.Release{EverDeployed: true, Status: "uninstalled"}, true},
	} {
		if got := (&Operation{Previous: c.before}).installs(); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestHooksOfTheOperation(t *testing.T) {
	hook := func(events ...helmrelease.HookEvent) *helmrelease.Hook {
		return &helmrelease.Hook{Events: events, Manifest: "{apiVersion: v1, kind: Pod, metadata: {name: h}}"}
	}
	upgrade := &release.Release{EverDeployed: true, Status: "deployed"}
	for name, c := range map[string]struct {
		before *release.Release
		hook   *helmrelease.Hook
		want   string
	}{
		"of an install":           {nil, hook(helmrelease.HookPreInstall, helmrelease.HookPostUpgrade), "pre-install"},
		"of an upgrade":           {upgrade, hook(helmrelease.HookPreInstall, helmrelease.HookPostUpgrade), "post-upgrade"},
		"a test is not run":       {nil, hook(helmrelease.HookTest), ""},
		"a deletion is not run":   {upgrade, hook(helmrelease.HookPreDelete, helmrelease.HookPreRollback), ""},
		"both moments of install": {nil, hook(helmrelease.HookPreInstall, helmrelease.HookPostInstall), "pre-install post-install"},
	} {
		r := new(Rendering)
		if err := (&Operation{Previous: c.before}).addHook(r, c.hook); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, h := range r.Hooks {
			got = append(got, h.Event)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	nameless := &helmrelease.Hook{Events: []helmrelease.HookEvent{helmrelease.HookPreInstall}, Manifest: "{apiVersion: v1, kind: Pod, metadata: {generateName: h-}}"}
	if err := new(Operation).addHook(new(Rendering), nameless); !errors.Is(err, engine.ErrPermanent) || !strings.Contains(engine.HintOf(err), "metadata.name") {
		t.Errorf("a hook that Helm deletes and does not find: got %v", err)
	}
	nameless.DeletePolicies = []helmrelease.HookDeletePolicy{helmrelease.HookFailed}
	if err := new(Operation).addHook(new(Rendering), nameless); err != nil {
		t.Errorf("a hook that Helm need not find: got %v", err)
	}
}

// An object of another release is not taken without being asked.
func TestForeignObjects(t *testing.T) {
	const helm = "labels: {app.kubernetes.io/managed-by: Helm}, annotations: {meta.helm.sh/release-name: %s, meta.helm.sh/release-namespace: %s}"
	for name, c := range map[string]struct {
		meta string
		take bool
		want string
	}{
		"its own":                      {fmt.Sprintf(helm, "app", "ns"), false, ""},
		"of another release":           {fmt.Sprintf(helm, "db", "ns"), false, "belongs to release ns/db"},
		"of its name elsewhere":        {fmt.Sprintf(helm, "app", "other"), false, "belongs to release other/app"},
		"of nobody":                    {"name: a", false, "belongs to no release"},
		"marked, but not Helm's":       {"annotations: {meta.helm.sh/release-name: app, meta.helm.sh/release-namespace: ns}", false, "belongs to release ns/app"},
		"of another release, asked to": {fmt.Sprintf(helm, "db", "ns"), true, ""},
	} {
		p := &previewer{op: &Operation{Name: "app", Namespace: "ns", TakeOwnership: c.take}}
		err := p.foreign(kubekit.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: "ns", Name: "a"}, object(t, "{metadata: {"+c.meta+"}}"))
		if (err != nil) != (c.want != "") || err != nil && (!strings.Contains(err.Error(), c.want) || !errors.Is(err, engine.ErrPermanent)) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestImagesAndRestarts(t *testing.T) {
	pod := object(t, "{kind: Deployment, spec: {template: {spec: {initContainers: [{name: i, image: b:1}], containers: [{name: c, image: a:1}, {name: d, image: b:1}]}}}, data: {image: no}}")
	if got := fmt.Sprint(imagesOf([]*unstructured.Unstructured{pod})); got != "[a:1 b:1]" {
		t.Errorf("images: got %s", got)
	}
	for path, want := range map[string]bool{"spec/template/spec/containers[a]/image": true, "spec/replicas": false, "spec/templates": false} {
		if got := changesTemplate(nil, map[string]any{path: 1}); got != want {
			t.Errorf("%s: restarts pods: %v", path, got)
		}
	}
}
