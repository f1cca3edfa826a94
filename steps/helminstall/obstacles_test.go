package helminstall_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// A user who may not write sees what an install and an upgrade change by the fields of the
// manifests, and is told so.
func TestDryRunForAReader(t *testing.T) {
	w := newFixture(t)
	repo := charttest.Serve(t, settings("1.0.0"))
	installed, fresh := w.spec(repo, "settings", "1.0.0"), w.spec(repo, "settings", "1.0.0")
	w.converge(installed)
	installed.Values = map[string]any{"color": "red"}
	fresh.Release, fresh.CreateNamespace = "fresh", false
	w.env = labtest.Reader(t, w.env, w.namespace, "secrets", "configmaps")
	type m = map[string]any
	objects := only(t, w.edits(installed)).Want.(m)["objects"]
	if d := cmp.Diff(m{"ConfigMap/" + w.namespace + "/settings": m{"data/color": "red"}}, objects); d != "" {
		t.Errorf("an upgrade (-want +got):\n%s", d)
	}
	if warned := w.warnings.String(); strings.Count(warned, "may not patch ") != 1 {
		t.Errorf("warned %q", warned)
	}
	objects = only(t, w.edits(fresh)).Want.(m)["objects"]
	if got := objects.(m)["ConfigMap/"+w.namespace+"/fresh"]; !cmp.Equal(got, m{"data/color": "blue", "data/size": "1", "data/version": "1.0.0"}) {
		t.Errorf("an install: %v", got)
	}
}

// Between the look and the edit another client may take up a release that was cut off:
// nothing is written over it.
func TestAnotherClientAtWork(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, settings("1.0.0")), "settings", "1.0.0")
	w.converge(s)
	w.setStatus("settings", 1, "pending-upgrade")
	w.env.Now = func() time.Time { return time.Now().Add(time.Hour) }
	s.Values = map[string]any{"color": "red"}
	e := only(t, w.edits(s))
	if e.Apply == nil {
		t.Fatalf("a release that was cut off shows as %+v", e)
	}
	w.setStatus("settings", 1, "pending-rollback")
	if err := w.apply(e); err == nil || !strings.Contains(err.Error(), "another client works on the release") {
		t.Errorf("got %v", err)
	}
	if color := w.configMap("settings").Data["color"]; color != "blue" {
		t.Errorf("color %q is written over what another client makes", color)
	}
}

// A namespace that goes away is waited for before anything else is looked at, and made
// anew when it is gone.
func TestNamespaceThatGoesAway(t *testing.T) {
	w := newFixture(t)
	namespaces, name := w.cluster.Client().CoreV1().Namespaces(), w.namespace+"-goes"
	t.Cleanup(func() { labtest.DeleteNamespace(t, w.env, name) })
	w.create("{apiVersion: v1, kind: Namespace, metadata: {name: " + name + ", finalizers: [example.com/stays]}}")
	if err := namespaces.Delete(engine.AllowWrites(t.Context()), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s := w.spec(charttest.Serve(t, settings("1.0.0")), "settings", "1.0.0")
	s.Namespace = name
	e := only(t, w.edits(s))
	release := func() {
		_, err := namespaces.Patch(engine.AllowWrites(context.Background()), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil {
			t.Error(err)
		}
	}
	release()
	if e.Path != "Namespace/"+name || e.Apply != nil || e.Await == nil {
		t.Fatalf("one that goes away: %+v", e)
	}
	if _, applied := w.converge(s); !slices.Equal(applied, []string{"Namespace/" + name, "release/" + name + "/settings"}) {
		t.Errorf("applied %v", applied)
	}
}

// The chart's remarks are made once in a run; an error about values does not show them.
func TestDeprecatedChart(t *testing.T) {
	w := newFixture(t)
	c := settings("1.0.0")
	c.Meta = "deprecated: true\n"
	s := w.spec(charttest.Serve(t, c), "settings", "1.0.0")
	s.Values = map[string]any{"password": "correct-horse"}
	w.edits(s)
	w.edits(s)
	want := "chart settings 1.0.0 is deprecated by its authors\nvalues: chart settings 1.0.0 does not know password and ignores it"
	if d := cmp.Diff(want, w.warnings.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	s.Strict = true
	_, _, err := w.look(s)
	if !errors.Is(err, engine.ErrPlan) || !strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "horse") {
		t.Errorf("strict: %v", err)
	}
}

// An error of the plan's files ends a look for good; one of the API server may pass.
func TestLookThatFails(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, settings("1.0.0")), "settings", "1.0.0")
	s.ValuesFiles = []engine.File{{Name: "absent.yaml", Path: "/does/not/exist"}}
	_, _, err := w.look(s)
	permanent(t, err, "valuesFiles", "/does/not/exist")
	s.ValuesFiles = nil
	path := *s
	path.Repo, path.Chart, path.Version, path.Release = "", "./absent.tgz", "", "settings"
	_, _, err = w.look(&path)
	permanent(t, err, "absent.tgz")
	w.env = labtest.Through(t, w.env, func(answer http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/secrets") {
			http.Error(answer, "etcd is away", http.StatusInternalServerError)
			return false
		}
		return true
	})
	if _, _, err = w.look(s); err == nil || errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "release "+w.namespace+"/settings") {
		t.Errorf("an API server that fails: %v", err)
	}
}

// A release whose outcome the API server did not take is pending. The step knows that its
// own operation has ended, and goes on at once.
func TestOutcomeThatIsNotStored(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, settings("1.0.0")), "settings", "1.0.0")
	cluster := w.env
	refused := 0
	w.env = labtest.Through(t, w.env, func(answer http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/secrets/sh.helm.release") && refused == 0 {
			refused++
			http.Error(answer, "etcd is away", http.StatusInternalServerError)
			return false
		}
		return true
	})
	_, applied, err := w.settle(s)
	if refused != 1 || err == nil || errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "could not be recorded") {
		t.Fatalf("applied %v, refused %d times, error %v", applied, refused, err)
	}
	w.env = cluster
	if _, applied, err = w.settle(s); err != nil || len(applied) != 1 {
		t.Errorf("the next look: applied %v, error %v", applied, err)
	}
}

// A Job that has failed is not waited for.
func TestJobThatFails(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, charttest.Chart{Name: "job", Version: "1.0.0", Files: map[string]string{"templates/job.yaml": `
apiVersion: batch/v1
kind: Job
metadata: {name: late}
spec:
  activeDeadlineSeconds: 1
  template: {spec: {restartPolicy: Never, terminationGracePeriodSeconds: 0, containers: [{name: wait, image: example.com/never-ends:1}]}}
`}}), "job", "1.0.0")
	_, applied, err := w.settle(s)
	permanent(t, err, "Job/"+w.namespace+"/late: ", "then delete the Job")
	if len(applied) != 1 {
		t.Errorf("applied %v", applied)
	}
}

// A webhook with the failure policy Fail needs a CA bundle and a pod that answers: the
// API server refuses the objects of the next step otherwise.
func TestWebhooksThatCannotAnswer(t *testing.T) {
	w := newFixture(t)
	ca := base64.StdEncoding.EncodeToString(testCA(t))
	hook := func(name, policy, bundle string) string {
		return "{name: " + name + ".example.com, failurePolicy: " + policy + ", clientConfig: {caBundle: \"" + bundle + "\", service: {name: SVC, namespace: " + w.namespace + "}}, sideEffects: None, admissionReviewVersions: [v1]}"
	}
	ready, unready, silent := "{addresses: [10.99.0.1], conditions: {ready: true}}", "{addresses: [10.99.0.1], conditions: {ready: false}}", "{addresses: [10.99.0.1]}"
	const bundle, endpoints = 1, 2
	cases := map[string]struct {
		hooks  string
		slices []string // the endpoints of each slice of the Service
		waits  int
	}{
		"nothing-yet":       {hook("a", "Fail", ""), nil, bundle | endpoints},
		"a-bundle-only":     {hook("a", "Fail", ca), nil, endpoints},
		"one-has-no-bundle": {hook("a", "Fail", ca) + ", " + hook("b", "Fail", ""), []string{ready}, bundle},
		"not-ready":         {hook("a", "Fail", ca), []string{unready}, endpoints},
		"one-of-two-pods":   {hook("a", "Fail", ca), []string{unready + ", " + ready}, 0},
		"does-not-say":      {hook("a", "Fail", ca), []string{silent}, 0},
		"a-second-slice":    {hook("a", "Fail", ca), []string{"", ready}, 0},
		"may-fail":          {hook("a", "Ignore", ""), nil, 0},
		"at-an-address":     {"{name: a.example.com, clientConfig: {url: \"https://w.example.com\"}, sideEffects: None, admissionReviewVersions: [v1]}", nil, 0},
		"none":              {"", nil, 0},
		"fail-beside":       {hook("a", "Ignore", "") + ", " + hook("b", "Fail", ca), nil, endpoints},
	}
	var docs, want []string
	for name, c := range cases {
		config := w.namespace + "-" + name
		docs = append(docs, fmt.Sprintf("apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nmetadata: {name: %s}\nwebhooks: [%s]\n",
			config, strings.ReplaceAll(c.hooks, "SVC", name)))
		t.Cleanup(func() { w.deleteWebhooks(config) })
		for i, of := range c.slices {
			w.create(fmt.Sprintf("{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: %s-%d, labels: {kubernetes.io/service-name: %[1]s}}, addressType: IPv4, endpoints: [%[3]s]}", name, i, of))
		}
		if c.waits&bundle != 0 {
			want = append(want, "ValidatingWebhookConfiguration/"+config+"/caBundle")
		}
		if c.waits&endpoints != 0 {
			want = append(want, "Service/"+w.namespace+"/"+name+"/endpoints")
		}
	}
	s := w.spec(charttest.Serve(t, charttest.Chart{Name: "hooks", Version: "1.0.0", Files: map[string]string{"templates/all.yaml": strings.Join(docs, "---\n")}}), "hooks", "1.0.0")
	if err := w.apply(only(t, w.edits(s))); err != nil {
		t.Fatal(err)
	}
	edits := w.edits(s)
	for _, e := range edits {
		if e.Apply != nil || e.Await == nil {
			t.Errorf("%s is not waited for", e.Path)
		}
	}
	slices.Sort(want)
	if d := cmp.Diff(want, paths(edits)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
