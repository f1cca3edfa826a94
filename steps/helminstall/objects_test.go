package helminstall_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

// workload is a chart with fields that the API server writes otherwise than the
// manifest does, fields that controllers keep, and a password.
func workload() charttest.Chart {
	return charttest.Chart{Name: "workload", Version: "1.0.0",
		Values: "password: none\nreplicas: 1\nextra: false\n",
		Files: map[string]string{"templates/all.yaml": `
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, labels: {app: app}, annotations: {note: ""}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 0
      nodeSelector: {}
      tolerations: []
      containers:
      - name: main
        image: example.com/inert:1
        args: [--level=1]
        resources: {requests: {cpu: "0.10", memory: 1024Ki}}
        env:
        - {name: LEVEL, value: "1"}
        - {name: DB_PASSWORD, value: "{{ .Values.password }}"}
---
apiVersion: v1
kind: Secret
metadata: {name: app}
stringData: {password: "{{ .Values.password }}"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: app}
data: {config: "url=http://x/?p={{ .Values.password }}", mode: slow}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec:
  type: ClusterIP
  selector: {app: app}
  ports: [{port: 80, targetPort: 8080}]
{{- if .Values.extra }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: extra}
{{- end }}
`}}
}

// patch changes an object behind the step's back.
func (w *fixture) patch(resource, name, manager, patch string) {
	w.t.Helper()
	gvr := map[string]schema.GroupVersionResource{
		"deployments": {Group: "apps", Version: "v1", Resource: "deployments"},
		"configmaps":  {Version: "v1", Resource: "configmaps"},
		"secrets":     {Version: "v1", Resource: "secrets"},
		"services":    {Version: "v1", Resource: "services"},
		"pods":        {Version: "v1", Resource: "pods"},
	}[resource]
	_, err := w.cluster.Dynamic().Resource(gvr).Namespace(w.namespace).Patch(engine.AllowWrites(w.t.Context()), name,
		types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestHandEditsAreSetBack(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, workload()), "workload", "1.0.0")
	s.Wait = false
	s.Values = map[string]any{"password": "canary-7d1f"}
	w.converge(s)
	w.again()
	if edits := w.edits(s); len(edits) != 0 {
		t.Fatalf("untouched: found %+v", edits)
	}
	type m = map[string]any
	for _, test := range []struct {
		name, resource, patch, path string
		have, want                  m
	}{
		{"args", "deployments", `{"spec":{"template":{"spec":{"containers":[{"name":"main","args":["--level=9","--more"]}]}}}}`, "Deployment/%s/app",
			m{"spec/template/spec/containers[main]/args": []any{"--level=9", "--more"}}, m{"spec/template/spec/containers[main]/args": []any{"--level=1"}}},
		{"replicas", "deployments", `{"spec":{"replicas":2}}`, "Deployment/%s/app", m{"spec/replicas": int64(2)}, m{"spec/replicas": int64(1)}},
		{"a variable", "deployments", `{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"DB_PASSWORD","value":"other"}]}]}}}}`, "Deployment/%s/app",
			m{"spec/template/spec/containers[main]/env[DB_PASSWORD]/value": "5 secret characters"}, m{"spec/template/spec/containers[main]/env[DB_PASSWORD]/value": "11 secret characters"}},
		{"data", "configmaps", `{"data":{"mode":"fast"}}`, "ConfigMap/%s/app", m{"data/mode": "fast"}, m{"data/mode": "slow"}},
		{"data gone", "configmaps", `{"data":{"mode":null}}`, "ConfigMap/%s/app", m{}, m{"data/mode": "slow"}},
		{"a secret", "secrets", `{"stringData":{"password":"x"}}`, "Secret/%s/app", m{"data/password": "4 secret characters"}, m{"data/password": "16 secret characters"}},
		{"a port", "services", `{"spec":{"ports":[{"port":80,"targetPort":8081}]}}`, "Service/%s/app", m{"spec/ports[0]/targetPort": int64(8081)}, m{"spec/ports[0]/targetPort": int64(8080)}},
		{"a label", "deployments", `{"metadata":{"labels":{"app":"other"}}}`, "Deployment/%s/app", m{"metadata/labels/app": "other"}, m{"metadata/labels/app": "app"}},
	} {
		w.patch(test.resource, "app", "kubectl-edit", test.patch)
		e := only(t, w.edits(s))
		note := "changed since revision 1 of release workload"
		if test.name != "data gone" && test.name != "a port" { // what is gone has no manager, and elements without a name are not found
			note += ", set by kubectl-edit"
		}
		want := []any{fmt.Sprintf(test.path, w.namespace), test.have, test.want, note}
		if d := cmp.Diff(want, []any{e.Path, plain(e.Have), plain(e.Want), e.Note}); d != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, d)
		}
		if out, applied := w.converge(s); len(applied) != 1 || out.Revision != 1 {
			t.Errorf("%s: applied %v, revision %d", test.name, applied, out.Revision)
		}
	}
	// Fields that the manifest does not have stay.
	w.patch("configmaps", "app", "kubectl-edit", `{"data":{"added":"x"},"metadata":{"annotations":{"a":"b"}}}`)
	if edits := w.edits(s); len(edits) != 0 {
		t.Errorf("what was added: found %+v", edits)
	}
}

func TestControllersKeepTheirFields(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, workload()), "workload", "1.0.0")
	s.Wait = false
	w.converge(s)

	w.patch("deployments", "app", "some-operator", `{"spec":{"template":{"spec":{"containers":[{"name":"main","args":["--level=7"]}]}}}}`)
	if edits := w.edits(s); len(edits) != 0 {
		t.Errorf("a field that an operator set: found %+v", edits)
	}
	limit := int32(1)
	_, err := w.cluster.Client().AutoscalingV2().HorizontalPodAutoscalers(w.namespace).Create(engine.AllowWrites(t.Context()),
		&autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: "app"},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "app"},
				MinReplicas:    &limit, MaxReplicas: 3,
			},
		}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.patch("deployments", "app", "kubectl-scale", `{"spec":{"replicas":2}}`)
	if edits := w.edits(s); len(edits) != 0 {
		t.Errorf("replicas under an autoscaler: found %+v", edits)
	}
}

func TestUpgradeShowsObjects(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, workload()), "workload", "1.0.0")
	s.Wait = false
	s.Values = map[string]any{"extra": true, "password": "canary-7d1f"}
	type m = map[string]any
	if d := cmp.Diff([]any{"example.com/inert:1"}, only(t, w.edits(s)).Want.(m)["images"]); d != "" {
		t.Errorf("images of an install (-want +got):\n%s", d)
	}
	w.converge(s)
	w.again()
	s.Values = map[string]any{"replicas": 0, "password": "canary-8e2a"}
	e := only(t, w.edits(s))
	object := func(kind, name string) string { return kind + "/" + w.namespace + "/" + name }
	have, _ := plain(e.Have).(m)
	want, _ := plain(e.Want).(m)
	if d := cmp.Diff(m{
		object("ConfigMap", "extra"): "exists",
		object("ConfigMap", "app"):   m{"data/config": "27 secret characters"},
		object("Secret", "app"):      m{"data/password": "16 secret characters"},
		object("Deployment", "app"): m{"spec/replicas": int64(1),
			"spec/template/spec/containers[main]/env[DB_PASSWORD]/value": "11 secret characters"},
	}, have["objects"]); d != "" {
		t.Errorf("have (-want +got):\n%s", d)
	}
	if d := cmp.Diff(m{
		object("ConfigMap", "app"): m{"data/config": "27 secret characters"},
		object("Secret", "app"):    m{"data/password": "16 secret characters"},
		object("Deployment", "app"): m{"spec/replicas": int64(0),
			"spec/template/spec/containers[main]/env[DB_PASSWORD]/value": "11 secret characters"},
	}, want["objects"]); d != "" {
		t.Errorf("want (-want +got):\n%s", d)
	}
	if want["images"] != nil {
		t.Errorf("an upgrade shows the images of an install: %v", want["images"])
	}
	if text := fmt.Sprint(e.Have, e.Want); strings.Contains(text, "canary") {
		t.Errorf("the password shows: %s", text)
	}
}

// The dry run refuses a change that the API server would refuse.
func TestImmutableFieldIsFoundInTheDryRun(t *testing.T) {
	w := newFixture(t)
	c := workload()
	other := workload()
	other.Version = "1.1.0"
	other.Files = map[string]string{"templates/all.yaml": strings.ReplaceAll(c.Files["templates/all.yaml"], "{app: app}", "{app: other}")}
	repo := charttest.Serve(t, c, other)
	s := w.spec(repo, "workload", "1.0.0")
	s.Wait = false
	w.converge(s)
	s.Version = "1.1.0"
	_, _, err := w.look(s)
	permanent(t, err, "Deployment/"+w.namespace+"/app", "field is immutable", "delete the object first")
}

// A template that looks up a kind which an earlier step brings does not keep the
// rest of the plan from being shown.
func TestLookupOfAKindThatIsStillToCome(t *testing.T) {
	w := newFixture(t)
	c := settings("1.0.0")
	c.Files["templates/lookup.yaml"] = `{{ lookup "absent.example.com/v1" "Thing" .Release.Namespace "x" }}`
	e := only(t, w.edits(w.spec(charttest.Serve(t, c), "settings", "1.0.0")))
	if want, _ := e.Want.(map[string]any); want["objects"] != nil || !strings.HasPrefix(e.Note, "its objects are not known yet: ") {
		t.Errorf("want %v, note %q", e.Want, e.Note)
	}
}

// The objects of a release whose record is lost are adopted again, with the changes of
// others undone.
func TestAdoption(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, workload()), "workload", "1.0.0")
	s.Wait = false
	w.converge(s)
	w.patch("configmaps", "app", "kubectl-edit", `{"data":{"mode":"fast"}}`)
	err := w.cluster.Client().CoreV1().Secrets(w.namespace).Delete(engine.AllowWrites(t.Context()), "sh.helm.release.v1.workload.v1", metav1.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := only(t, w.edits(s))
	have, _ := e.Have.(map[string]any)
	if d := cmp.Diff(map[string]any{"ConfigMap/" + w.namespace + "/app": map[string]any{"data/mode": "fast"}}, have["objects"]); d != "" {
		t.Errorf("have (-want +got):\n%s", d)
	}
	w.converge(s)
}

// The removals of an upgrade are known by the release that is there: delete on exactly
// those objects.
func TestRemovalsNeedDelete(t *testing.T) {
	w := newFixture(t)
	s := w.spec(charttest.Serve(t, workload()), "workload", "1.0.0")
	s.Wait = false
	s.Values = map[string]any{"extra": true}
	removals := func() []engine.Permission {
		t.Helper()
		w.again()
		needed, err := s.Removals(t.Context(), w.env, nil)
		if err != nil {
			t.Fatal(err)
		}
		return needed
	}
	if got := removals(); len(got) != 0 {
		t.Errorf("before it is installed: %+v", got)
	}
	w.converge(s)
	if got := removals(); len(got) != 0 {
		t.Errorf("nothing is removed: %+v", got)
	}
	s.Values = map[string]any{"extra": false}
	got := removals()
	if len(got) != 1 || got[0].Resource != "configmaps" || got[0].Name != "extra" || got[0].Namespace != w.namespace || !slices.Equal(got[0].Verbs, []string{"delete"}) || !got[0].Write {
		t.Errorf("an object that the chart does not make any more: %+v", got)
	}
}
