package helminstall_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/session"
)

// What a step says before it is run, by its inputs and its chart: no cluster is asked.

// unconnected is an environment whose cluster cannot be reached.
func unconnected(t *testing.T) *engine.Env {
	t.Helper()
	shared := &engine.Session{}
	t.Cleanup(func() {
		if err := shared.Close(); err != nil {
			t.Error(err)
		}
	})
	quiet := func(string, ...any) {}
	return &engine.Env{
		Plan: "test", Step: "test", Dir: t.TempDir(), CacheDir: filepath.Join(t.TempDir(), "cache"),
		Settings: session.Settings{Cluster: session.Cluster{Kubeconfig: filepath.Join(t.TempDir(), "absent")}},
		Session:  shared, Now: time.Now, Logf: quiet, Statusf: quiet, Warnf: quiet, Conceal: func(...engine.Secret) {},
	}
}

// beside writes a chart beside the plan and returns a step that installs it into
// namespace ns.
func beside(t *testing.T, env *engine.Env, c charttest.Chart) *helminstall.Spec {
	t.Helper()
	if err := os.WriteFile(filepath.Join(env.Dir, "chart.tgz"), c.Pack(t), 0o600); err != nil {
		t.Fatal(err)
	}
	s := helminstall.Kind.New().(*helminstall.Spec)
	s.Chart, s.Release, s.Namespace, s.Wait = "chart.tgz", "app", "ns", false
	return s
}

// What a step says about itself before a run: the release that is its own, and nothing
// where an input is an output of another step.
func TestWhatAStepDeclares(t *testing.T) {
	spec := func(change func(*helminstall.Spec)) *helminstall.Spec {
		s := helminstall.Kind.New().(*helminstall.Spec)
		s.Repo, s.Chart, s.Version, s.Namespace = "https://charts.example.com", "app", "1.0.0", "ns"
		change(s)
		return s
	}
	for name, c := range map[string]struct {
		change  func(*helminstall.Spec)
		unknown []string
		claim   string // the path; "" for none
		foresee string // the name of the release
		owns    map[string]bool
	}{
		"by the name of the chart": {func(*helminstall.Spec) {}, nil, "release/ns/app", "app",
			map[string]bool{"release/ns/app": true, "release/ns/other": false, "release/other/app": false, "ConfigMap/ns/a": true}},
		"by the name of the release": {func(s *helminstall.Spec) { s.Release = "mine" }, nil, "release/ns/mine", "mine",
			map[string]bool{"release/ns/mine": true, "release/ns/app": false}},
		"of a registry": {func(s *helminstall.Spec) { s.Repo, s.Chart = "oci://r.example.com/charts/web", "" }, nil, "release/ns/web", "web",
			map[string]bool{"release/ns/web": true}},
		"of a path": {func(s *helminstall.Spec) { s.Repo, s.Chart = "", "./chart" }, nil, "", "",
			map[string]bool{"release/ns/anything": true}},
		"with an unknown release":   {func(*helminstall.Spec) {}, []string{"release"}, "", "", nil},
		"with an unknown chart":     {func(*helminstall.Spec) {}, []string{"chart"}, "", "", nil},
		"with an unknown namespace": {func(*helminstall.Spec) {}, []string{"namespace"}, "", "app", nil},
		"with an unknown value": {func(*helminstall.Spec) {}, []string{"values.a.b"}, "", "app",
			map[string]bool{"release/ns/app": true}},
		"with an unknown password": {func(*helminstall.Spec) {}, []string{"password"}, "release/ns/app", "app",
			map[string]bool{"release/ns/app": true}},
	} {
		s := spec(c.change)
		var claimed []string
		for _, claim := range s.Claims("plan", c.unknown) {
			claimed = append(claimed, claim.Path)
			if claim.Field != "chart" {
				t.Errorf("%s: a clash points to field %s", name, claim.Field)
			}
		}
		if got := strings.Join(claimed, " "); got != c.claim {
			t.Errorf("%s: claims %q, want %q", name, got, c.claim)
		}
		if out := s.Foresee("plan", c.unknown).(helminstall.Outputs); out.Release != c.foresee || out.Namespace != "ns" || out.Revision != 0 || out.Version != "" {
			t.Errorf("%s: foresees %+v", name, out)
		}
		owns := s.Owns(c.unknown)
		if (owns == nil) != (c.owns == nil) {
			t.Errorf("%s: knows what it owns: %v", name, owns != nil)
			continue
		}
		for path, want := range c.owns {
			if got := owns(path); got != want {
				t.Errorf("%s: owns %s: %v", name, path, got)
			}
		}
	}
	if d := cmp.Diff([]string{"ns"}, spec(func(*helminstall.Spec) {}).Scope().Namespaces); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	same, other := spec(func(*helminstall.Spec) {}), spec(func(s *helminstall.Spec) { s.Values = map[string]any{"a": 1} })
	claims := new(engine.Claims)
	if clashes := claims.Add("one", same.Claims("p", nil)); len(clashes) > 0 {
		t.Fatal(clashes)
	}
	if clashes := claims.Add("two", other.Claims("p", nil)); len(clashes) != 1 {
		t.Errorf("two steps with one release and other values: %v", clashes)
	}
}

// full is a chart with one object for each reason to need a permission.
func full() charttest.Chart {
	return charttest.Chart{Name: "full", Version: "1.0.0", Files: map[string]string{
		"templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
		"templates/b.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 1}\n",
		"templates/c.yaml": "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {updateStrategy: {type: OnDelete}}\n",
		"templates/d.yaml": "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec: {updateStrategy: {type: OnDelete}}\n",
		"templates/e.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: hook, annotations: {helm.sh/hook: post-install}}\n",
		"templates/f.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: left, annotations: {helm.sh/hook: post-install, helm.sh/hook-delete-policy: hook-failed}}\n",
		"templates/g.yaml": "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: w}\nwebhooks:\n- {name: a, clientConfig: {service: {name: s, namespace: hooks}}}\n- {name: b, failurePolicy: Ignore, clientConfig: {service: {name: s, namespace: ignored}}}\n- {name: c, failurePolicy: Fail, clientConfig: {url: https://w.example.com}}\n",
		"crds/w.yaml":      "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\nspec: {group: example.com, names: {kind: Widget, plural: widgets}, scope: Namespaced, versions: [{name: v1}]}\n",
	}}
}

// The permissions that a step needs are those of its requests: for the records of Helm,
// for each object of the chart, and for what is read beside them.
func TestPermissionsOfAChart(t *testing.T) {
	has := func(list []engine.Permission, verb, resource, namespace, name string) bool {
		return slices.ContainsFunc(list, func(p engine.Permission) bool {
			return slices.Contains(p.Verbs, verb) && p.Resource == resource && p.Namespace == namespace && (p.Name == "" || p.Name == name)
		})
	}
	for name, c := range map[string]struct {
		change func(*helminstall.Spec)
		want   []string // "verb resource namespace name"; with a "!" if it must not be needed
	}{
		"always": {func(*helminstall.Spec) {}, []string{
			"get namespaces - ns", "list secrets ns -", "create secrets ns -", "update secrets ns -",
			"get configmaps ns a", "create configmaps ns a", "patch configmaps ns a", "! delete configmaps ns a",
			"list horizontalpodautoscalers ns -", "list controllerrevisions ns -", "! delete pods ns -",
			"create jobs ns hook", "delete jobs ns hook", "! delete jobs ns left",
			"list endpointslices hooks -", "watch endpointslices hooks -", "! list endpointslices ignored -",
			"get customresourcedefinitions - widgets.example.com", "create customresourcedefinitions - -",
		}},
		"a history that is kept":         {func(s *helminstall.Spec) { s.MaxHistory = 0 }, []string{"! delete secrets ns -"}},
		"a history that is cut":          {func(s *helminstall.Spec) { s.MaxHistory = 3 }, []string{"delete secrets ns -"}},
		"a namespace of others":          {func(s *helminstall.Spec) { s.CreateNamespace = false }, []string{"! create namespaces - ns"}},
		"a namespace of its own":         {func(s *helminstall.Spec) { s.CreateNamespace = true }, []string{"create namespaces - ns"}},
		"pods that are restarted":        {func(s *helminstall.Spec) { s.OnDelete = "restart" }, []string{"delete pods ns -"}},
		"definitions that are let alone": {func(s *helminstall.Spec) { s.SkipCRDs = true }, []string{"! get customresourcedefinitions - widgets.example.com"}},
	} {
		env := unconnected(t)
		s := beside(t, env, full())
		c.change(s)
		list, notKnown := s.Permissions(t.Context(), env, nil)
		if len(notKnown) != 1 || !strings.Contains(notKnown[0], "rendered without a cluster") {
			t.Errorf("%s: not known: %q", name, notKnown)
		}
		for _, w := range c.want {
			w, not := strings.CutPrefix(w, "! ")
			part := strings.Fields(strings.ReplaceAll(w, "-", "\x00"))
			for i := range part {
				part[i] = strings.ReplaceAll(part[i], "\x00", "-")
				if part[i] == "-" {
					part[i] = ""
				}
			}
			if got := has(list, part[0], part[1], part[2], part[3]); got == not {
				t.Errorf("%s: needs %s: %v", name, w, got)
			}
		}
		for _, p := range list {
			if p.Reason == "" {
				t.Errorf("%s: no reason for %v", name, p)
			}
			reads := !slices.ContainsFunc(p.Verbs, func(v string) bool { return !slices.Contains([]string{"get", "list", "watch"}, v) })
			if !reads && !p.Write {
				t.Errorf("%s: a dry run would need %v", name, p)
			}
		}
	}
}

// Where the chart is not known, what is known is asked for and the rest is said.
func TestPermissionsThatAreNotKnown(t *testing.T) {
	env := unconnected(t)
	s := beside(t, env, full())
	for name, c := range map[string]struct {
		unknown []string
		chart   string
		needed  bool
		want    string
	}{
		"the namespace":      {[]string{"namespace"}, "chart.tgz", false, "the namespace is an output of another step"},
		"a value":            {[]string{"values"}, "chart.tgz", true, "values is an output of another step"},
		"the version":        {[]string{"version"}, "chart.tgz", true, "version is an output of another step"},
		"a chart that is no": {nil, "absent.tgz", true, "the objects of chart absent.tgz"},
	} {
		s.Chart = c.chart
		needed, notKnown := s.Permissions(t.Context(), env, c.unknown)
		if (len(needed) > 0) != c.needed || len(notKnown) != 1 || !strings.Contains(notKnown[0], c.want) {
			t.Errorf("%s: needs %v, not known %q", name, needed, notKnown)
		}
	}
	env = unconnected(t)
	c := full()
	c.Files["templates/z.yaml"] = `{{ $x := lookup "v1" "Secret" "ns" "a" }}`
	if _, notKnown := beside(t, env, c).Permissions(t.Context(), env, nil); len(notKnown) != 2 || !strings.Contains(notKnown[0], "looks up objects") {
		t.Errorf("a chart that looks up: %q", notKnown)
	}
}

// The check of a chart says where it is from, without a password in an address.
func TestCheckOfAChart(t *testing.T) {
	env := unconnected(t)
	repo := charttest.Serve(t, settings("1.0.0"))
	s := helminstall.Kind.New().(*helminstall.Spec)
	s.Repo, s.Chart, s.Version = repo.URL, "settings", "1.0.0"
	check := s.Checks(nil)[0]
	if v := check.Run(t.Context(), env); check.Name != "chart settings 1.0.0" || v.Level != engine.LevelOK || v.Detail != "is there, from "+repo.URL+"/settings-1.0.0.tgz" {
		t.Errorf("%s: %+v", check.Name, v)
	}
	s.Version = "1.0.1"
	if v := s.Checks(nil)[0].Run(t.Context(), env); v.Level == engine.LevelOK {
		t.Errorf("a version that is not there: %+v", v)
	}
	s.Repo, s.Chart, s.Version = "", "chart.tgz", ""
	if name := s.Checks(nil)[0].Name; !strings.HasPrefix(name, "chart chart.tgz") {
		t.Errorf("of a path: %s", name)
	}
	if checks := s.Checks([]string{"version"}); len(checks) > 0 {
		t.Errorf("with an unknown version: %v", checks)
	}
}

// The values that a chart ignores are known without a cluster: from the chart, or by
// its name where it is not at hand.
func TestIgnoredValues(t *testing.T) {
	env := unconnected(t)
	c := settings("1.0.0")
	c.Values += "unread: 1\n"
	s := beside(t, env, c)
	s.Values = map[string]any{"colour": "red", "unread": 2, "color": "blue"}
	want := []helminstall.IgnoredValue{{Path: "colour", Advice: "did you mean color?"}, {Path: "unread", Unread: true}}
	if d := cmp.Diff(want, s.IgnoredValues(env)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	s.Repo, s.Chart, s.Version = "https://charts.example.com", "apisix", "2.12.0"
	s.Values = map[string]any{"gateway": map[string]any{"type": "NodePort"}, "colour": 1}
	want = []helminstall.IgnoredValue{{Path: "gateway.type", Advice: "since chart 2.0.0: service.type"}}
	if d := cmp.Diff(want, s.IgnoredValues(env)); d != "" {
		t.Errorf("without the chart (-want +got):\n%s", d)
	}
	if s.Values = nil; s.IgnoredValues(env) != nil {
		t.Error("no values are ignored")
	}
	if merged := (&helminstall.Spec{ValuesFiles: []engine.File{{Name: "a", Path: "/does/not/exist"}}}).MergedValues(); merged != nil {
		t.Errorf("values that cannot be read: %v", merged)
	}
}

// A folder of a chart is an input of the plan, by its content.
func TestFoldersOfAStep(t *testing.T) {
	env := unconnected(t)
	s := beside(t, env, settings("1.0.0"))
	s.ResolvePaths(func(path string) string { return env.Dir + "/" + path })
	folders := s.Folders(env)
	if digest := folders[env.Dir+"/chart.tgz"]; len(digest) != 64 || len(folders) != 1 {
		t.Errorf("got %v", folders)
	}
	s.Chart = "absent"
	if folders := s.Folders(env); folders != nil {
		t.Errorf("a chart that is not there: %v", folders)
	}
	s.Repo, s.Chart = "https://charts.example.com", "app"
	s.ResolvePaths(func(string) string { t.Error("the name of a chart is no path"); return "" })
	if folders := s.Folders(env); folders != nil {
		t.Errorf("of a repository: %v", folders)
	}
}

// What an upgrade removes is not "nothing" where it is not known.
func TestRemovalsThatAreNotKnown(t *testing.T) {
	env := unconnected(t)
	s := beside(t, env, settings("1.0.0"))
	for _, unknown := range [][]string{{"namespace"}, {"chart"}, {"values"}, nil} {
		if removals, err := s.Removals(t.Context(), env, unknown); err == nil {
			t.Errorf("with unknown %v and no cluster: removes %v", unknown, removals)
		}
	}
}
