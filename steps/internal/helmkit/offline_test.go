package helmkit

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/charttest"
)

func yamlOf(t *testing.T, o *unstructured.Unstructured) string {
	t.Helper()
	b, err := yaml.Marshal(o.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What a chart makes is known without a cluster: by an install and by upgrades, hooks
// and the kinds of its own crds folder included. One whose name is another each time
// stands for all of its kind.
func TestExpect(t *testing.T) {
	c := local(t, charttest.Chart{Name: "app", Version: "1.0.0", Values: "on: true\n", Files: map[string]string{
		"templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: always}\n",
		"templates/b.yaml": "{{ if .Release.IsInstall }}\napiVersion: v1\nkind: Secret\nmetadata: {name: first}\n{{ end }}",
		"templates/c.yaml": "{{ if .Release.IsUpgrade }}\napiVersion: v1\nkind: Service\nmetadata: {name: later}\n{{ end }}",
		"templates/d.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: \"job-{{ .Release.Revision }}\"}\n",
		"templates/e.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: fixed}\n",
		"templates/f.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: hook, annotations: {helm.sh/hook: \"post-install,post-upgrade\"}}\n",
		"templates/g.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: left, annotations: {helm.sh/hook: pre-upgrade, helm.sh/hook-delete-policy: hook-failed}}\n",
		"templates/h.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: test, annotations: {helm.sh/hook: test}}\n",
		"templates/i.yaml": "{{ if .Capabilities.APIVersions.Has \"example.com/v1/Widget\" }}\napiVersion: example.com/v1\nkind: Widget\nmetadata: {name: own}\n{{ end }}",
		"templates/j.yaml": "{{ if .Capabilities.APIVersions.Has \"example.org/v1/Gadget\" }}\napiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: foreign}\n{{ end }}",
		"crds/w.yaml":      "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.com}\nspec: {group: example.com, names: {kind: Widget}, versions: [{name: v1}]}\n",
	}})
	crds, err := CRDs(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	found, err := (&Operation{Chart: c, Name: "app", Namespace: "ns", CRDs: crds}).Expect()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range found {
		key := e.Object.GetKind() + " " + e.Object.GetName()
		if _, twice := got[key]; twice {
			t.Errorf("%s is there twice", key)
		}
		got[key] = strings.TrimSpace(map[bool]string{true: "deleted "}[e.Deleted] + map[bool]string{true: "any"}[e.AnyName])
	}
	want := map[string]string{
		"ConfigMap always": "", "Secret first": "", "Service later": "", "Job job-1": "any", "Job job-2": "any", "Job job-3": "any", "Job fixed": "",
		"Pod hook": "deleted", "Pod left": "", "Widget own": "",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	broken := local(t, charttest.Chart{Name: "app", Version: "1.0.0", Files: map[string]string{"templates/a.yaml": "{{ fail \"give it a size\" }}"}})
	if _, err := (&Operation{Chart: broken, Name: "app", Namespace: "ns"}).Expect(); !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "give it a size") {
		t.Errorf("a chart that refuses its values: %v", err)
	}
}

// A chart's text says whether it looks into the cluster.
func TestLooksUp(t *testing.T) {
	for template, want := range map[string]bool{
		`{{ lookup "v1" "Secret" "ns" "a" }}`:                 true,
		`{{ $s := (lookup "v1" "Secret" "ns" "a").data }}`:    true,
		`{{ .Values.lookups }}`:                               false,
		`lookup: {{ .Values.a }}`:                             false,
		`{{ if .Values.a }}x{{ end }} lookup {{ .Values.b }}`: false,
	} {
		o := &Operation{Chart: local(t, charttest.Chart{Name: "app", Version: "1.0.0", Files: map[string]string{"templates/a.yaml": template}})}
		if got := o.LooksUp(); got != want {
			t.Errorf("%s: %v", template, got)
		}
	}
}

// A namespace that is absent is made, one that goes away is waited for, and one that
// cannot be read is taken for there.
func TestNamespace(t *testing.T) {
	for name, c := range map[string]struct {
		object  string
		refused error
		want    string // how the edit goes: "apply", "await", "error" or "" for none
	}{
		"absent":             {"", nil, "apply"},
		"there":              {"{apiVersion: v1, kind: Namespace, metadata: {name: ns}}", nil, ""},
		"going away":         {"{apiVersion: v1, kind: Namespace, metadata: {name: ns, deletionTimestamp: \"2026-01-01T00:00:00Z\", finalizers: [x]}}", nil, "await"},
		"not to be read":     {"", apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, "ns", errors.New("no")), ""},
		"of a server in bed": {"", apierrors.NewInternalError(errors.New("etcd")), "error"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			if c.object != "" {
				s.Put(t, c.object)
			}
			s.Refuse = func(string, string) error { return c.refused }
			edits, err := Namespace(t.Context(), s.env, s.cluster, "ns")
			got := ""
			switch {
			case err != nil:
				got = "error"
			case len(edits) == 1 && edits[0].Apply != nil:
				got = "apply"
			case len(edits) == 1 && edits[0].Await != nil:
				got = "await"
			}
			if got != c.want || len(edits) > 0 && edits[0].Path != "Namespace/ns" {
				t.Fatalf("got %+v, %v, want %q", edits, err, c.want)
			}
			if c.want != "apply" {
				return
			}
			for range 2 { // another may have made it in between
				if err := edits[0].Apply(engine.AllowWrites(t.Context())); err != nil {
					t.Error(err)
				}
			}
			if s.Object("/api/v1/namespaces/ns") == nil {
				t.Error("it was not made")
			}
		})
	}
}

// Definitions that the cluster lacks or does not serve are made; of those that are there
// in an older form the user is told, and they stay.
func TestMissingCRDs(t *testing.T) {
	crd := func(name, versions, established string) string {
		return fmt.Sprintf("{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: %s}, spec: {versions: [%s]}, status: {conditions: [{type: Established, status: \"%s\"}, {type: NamesAccepted, status: \"True\"}]}}", name, versions, established)
	}
	s := newScene(t, crd("there", "{name: v1}", "True"), crd("older", "{name: v1}", "True"), crd("newer", "{name: v1}, {name: v2}", "True"), crd("stuck", "{name: v1}", "False"))
	crds := []*CRD{object(t, crd("there", "{name: v1}", "")), object(t, crd("older", "{name: v1}, {name: v2}", "")), object(t, crd("newer", "{name: v1}", "")), object(t, crd("stuck", "{name: v1}", "")), object(t, crd("absent", "{name: v1}", ""))}
	missing, remarks, err := MissingCRDs(t.Context(), s.cluster, crds)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"absent", "stuck"}, NamesOf(missing)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(remarks) != 1 || !strings.Contains(remarks[0], "CustomResourceDefinition older in the cluster lacks version v2") {
		t.Errorf("remarks %q", remarks)
	}
	s.Refuse = func(string, string) error { return apierrors.NewInternalError(errors.New("etcd")) }
	if _, _, err := MissingCRDs(t.Context(), s.cluster, crds); err == nil {
		t.Error("a server that does not answer lacks nothing")
	}
}

// A chart that does not support the cluster's version is refused before anything is
// written.
func TestCheckOfTheClusterVersion(t *testing.T) {
	s := newScene(t) // v1.36.3
	for want, ok := range map[string]bool{"": true, ">=1.20.0-0": true, ">=1.20.0": true, "<1.36.0-0": false, ">=1.40.0": false} {
		err := Check(t.Context(), s.cluster, local(t, charttest.Chart{Name: "app", Version: "1.0.0", Meta: fmt.Sprintf("kubeVersion: %q\n", want)}), nil)
		if (err == nil) != ok || err != nil && (!errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "the cluster has v1.36.3")) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// A warning of the API server about a chart's objects is shown once.
func TestWarningsOnce(t *testing.T) {
	var shown []string
	w := &warnings{env: &engine.Env{Warnf: func(f string, a ...any) { shown = append(shown, fmt.Sprintf(f, a...)) }}}
	for _, x := range []struct {
		code int
		text string
	}{{299, "old"}, {299, "old"}, {299, "older"}, {199, "other"}, {299, ""}} {
		w.HandleWarningHeaderWithContext(t.Context(), x.code, "", x.text)
	}
	if d := cmp.Diff([]string{"the API server says: old", "the API server says: older"}, shown); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// An object without a name cannot be found again, and a hook that is deleted neither.
func TestObjectsWithoutNames(t *testing.T) {
	for template, want := range map[string]string{
		"apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\n":                                                                                    "metadata.generateName: x-",
		"apiVersion: v1\nkind: Pod\nmetadata: {labels: {a: b}}\n":                                                                                      "metadata.name is missing",
		"apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-, annotations: {helm.sh/hook: pre-install}}\n":                                          "metadata.generateName: x-",
		"apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-, annotations: {helm.sh/hook: pre-install, helm.sh/hook-delete-policy: hook-failed}}\n": "",
	} {
		c := local(t, charttest.Chart{Name: "app", Version: "1.0.0", Files: map[string]string{"templates/a.yaml": template}})
		_, err := (&Operation{Chart: c, Name: "app", Namespace: "ns"}).Expect()
		if (err != nil) != (want != "") || err != nil && (!errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", template, err)
		}
	}
}
