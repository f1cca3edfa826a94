package release

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/ztplan/ztplan/engine"
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

// The texts are those of Helm, of its template engine and of the API server.
func TestExplain(t *testing.T) {
	for text, c := range map[string]struct {
		permanent bool
		hint      string // a part of it
	}{
		`Unable to continue with install: ConfigMap "a" in namespace "n" exists and cannot be imported into the current release`: {true, "takeOwnership: true"},
		"values don't meet the specifications of the schema(s) in the following chart(s)":                                        {true, "helm show values"},
		"chart requires kubeVersion: >=1.40.0 which is incompatible with Kubernetes v1.36.0":                                     {true, "supports the cluster"},
		"execution error at (app/templates/a.yaml:1:3): replicas must be odd":                                                    {true, "refuses these values"},
		"parse error at (app/templates/a.yaml:1): unclosed action":                                                               {true, "cannot be rendered"},
		"template: app/templates/a.yaml:1: error calling include: nil pointer":                                                   {true, "cannot be rendered"},
		"Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden":                                  {true, "--cascade=orphan"},
		"spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims":              {true, "allowVolumeExpansion"},
		"spec.resources.requests.storage: Forbidden: field can not be less than status.capacity":                                 {true, "allowVolumeExpansion"},
		"json: cannot unmarshal bool into Go struct field EnvVar.value of type string":                                           {true, "text needs quotes"},
		"data: Too long: may not be more than 1048576 bytes":                                                                     {true, "take large files out"},
		"spec.selector: Invalid value: field is immutable":                                                                       {true, "delete the object first"},
		`no matches for kind "Widget" in version "example.com/v1"`:                                                               {false, "CustomResourceDefinition is missing"},
		"release: something new": {false, ""},
	} {
		err := Explain(errors.New(text))
		if errors.Is(err, engine.ErrPermanent) != c.permanent || !strings.Contains(engine.HintOf(err), c.hint) || c.hint == "" && engine.HintOf(err) != "" {
			t.Errorf("%s: permanent %v, hint %q", text, errors.Is(err, engine.ErrPermanent), engine.HintOf(err))
		}
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: lost in %v", text, err)
		}
	}
	if err := Explain(fmt.Errorf("helm: %w", kubekit.ErrReadOnly)); !errors.Is(err, engine.ErrPermanent) {
		t.Errorf("a write outside an edit is tried again: %v", err)
	}
}

func TestCannotAsk(t *testing.T) {
	answer := func(code int32, reason metav1.StatusReason, message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: "Failure", Code: code, Reason: reason, Message: message}}
	}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"the user may not write":           {answer(403, metav1.StatusReasonForbidden, `configmaps "a" is forbidden: User "ana" cannot patch`), true},
		"a webhook says no":                {answer(403, metav1.StatusReasonForbidden, `admission webhook "w" denied the request: no`), false},
		"a webhook has side effects":       {answer(400, metav1.StatusReasonBadRequest, `admission webhook "w" does not support dry run`), true},
		"the object is wrong":              {answer(400, metav1.StatusReasonBadRequest, "unknown field"), false},
		"a webhook does not answer":        {answer(500, metav1.StatusReasonInternalError, `failed calling webhook "w": refused`), true},
		"the server has another problem":   {answer(500, metav1.StatusReasonInternalError, "etcdserver: request timed out"), false},
		"there is no answer of the server": {errors.New("connection refused"), false},
	} {
		if got := cannotAsk(c.err); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// Without an answer of the API server the fields of the manifest decide: a field
// that the server fills in is no difference, one that the manifest no longer has
// is.
func TestGuess(t *testing.T) {
	for name, c := range map[string]struct {
		original, target, live string
		have, want             map[string]any
	}{
		"a changed field": {
			"{spec: {a: 1}}", "{spec: {a: 2}}", "{spec: {a: 1, default: x}}",
			map[string]any{"spec/a": 1.0}, map[string]any{"spec/a": 2.0},
		},
		"a new field": {
			"{spec: {}}", "{spec: {a: 2}}", "{spec: {default: x}}",
			map[string]any{}, map[string]any{"spec/a": 2.0},
		},
		"a field that the chart gave up": {
			"{spec: {a: 1, b: 1}}", "{spec: {a: 1}}", "{spec: {a: 1, b: 1}}",
			map[string]any{"spec/b": 1.0}, map[string]any{},
		},
		"a field that is gone already": {
			"{spec: {a: 1, b: 1}}", "{spec: {a: 1}}", "{spec: {a: 1}}",
			map[string]any{}, map[string]any{},
		},
		"an empty field": {
			"{spec: {a: \"\"}}", "{spec: {a: \"\"}}", "{spec: {a: x}}",
			map[string]any{}, map[string]any{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			change := &Change{Live: object(t, c.live), original: object(t, c.original), target: object(t, c.target)}
			change.guess()
			if d := cmp.Diff(c.have, change.Have); d != "" {
				t.Errorf("have (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.want, change.Want); d != "" {
				t.Errorf("want (-want +got):\n%s", d)
			}
		})
	}
}

// The API server lists the fields of a StatefulSet that may change; the user needs
// those that may not.
func TestNamingRefusedFields(t *testing.T) {
	change := &Change{
		Live:     object(t, "{spec: {serviceName: a, replicas: 1, podManagementPolicy: OrderedReady}}"),
		original: object(t, "{spec: {}}"),
		target:   object(t, "{spec: {serviceName: b, replicas: 2, podManagementPolicy: Parallel}}"),
	}
	err := change.naming(errors.New("Forbidden: updates to statefulset spec for fields other than 'replicas', 'template' are forbidden"))
	if !strings.HasSuffix(err.Error(), "(these differ: spec/podManagementPolicy, spec/serviceName)") {
		t.Errorf("got %v", err)
	}
	other := apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, "a", errors.New("x"))
	if err := change.naming(other); err != error(other) {
		t.Errorf("another error became %v", err)
	}
}

func TestControllersOwnFields(t *testing.T) {
	managed := func(manager, fields string) *unstructured.Unstructured {
		return object(t, fmt.Sprintf(`{metadata: {managedFields: [{manager: %q, operation: Update, fieldsType: FieldsV1, fieldsV1: %s}]}}`, manager, fields))
	}
	const replicas = `{"f:spec": {"f:replicas": {}}}`
	const bundle = `{"f:webhooks": {'k:{"name":"w"}': {"f:clientConfig": {"f:caBundle": {}}}}}`
	for name, c := range map[string]struct {
		object *unstructured.Unstructured
		path   string
		want   bool
	}{
		"the field of an operator":          {managed("keda-operator", replicas), "spec/replicas", true},
		"another field":                     {managed("keda-operator", replicas), "spec/paused", false},
		"the field of a person":             {managed("kubectl-edit", replicas), "spec/replicas", false},
		"a controller's name after kubectl": {managed("kubectl-controller", replicas), "spec/replicas", false},
		"the field of Helm":                 {managed("Helm", replicas), "spec/replicas", false},
		"in a named element":                {managed("cert-manager-cainjector", bundle), "webhooks[w]/clientConfig/caBundle", true},
		"in another element":                {managed("cert-manager-cainjector", bundle), "webhooks[v]/clientConfig/caBundle", false},
		"below a field that is owned whole": {managed("some-controller", `{"f:spec": {"f:a": {}}}`), "spec/a/b", true},
		"a longer name of the same start":   {managed("some-controller", `{"f:spec": {"f:a": {}}}`), "spec/ab", false},
	} {
		if got := controllers(c.object).Has(c.path); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestInjected(t *testing.T) {
	for text, want := range map[string]bool{
		"{metadata: {annotations: {cert-manager.io/inject-ca-from: a/b}}}":           true,
		"{metadata: {annotations: {cert-manager.io/inject-apiserver-ca: \"true\"}}}": true,
		"{metadata: {annotations: {cert-manager.io/issuer: a}}}":                     false,
		"{metadata: {}}": false,
	} {
		if got := injected(object(t, text)); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
}

// Labels and annotations of a manifest count, its name and version do not.
func TestSpecOf(t *testing.T) {
	got := specOf(object(t, "{apiVersion: v1, kind: A, metadata: {name: a, labels: {l: x}, annotations: {k: v}, generation: 3}, spec: {b: 1}, data: {c: d}}"))
	want := map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"l": "x"}, "annotations": map[string]any{"k": "v"}},
		"spec":     map[string]any{"b": 1.0}, "data": map[string]any{"c": "d"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
