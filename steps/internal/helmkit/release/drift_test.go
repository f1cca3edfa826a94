package release

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/ztplan/ztplan/engine"
)

// looked is the edit for the one object of a release, by its manifest; nil if there is
// none.
func (s *scene) looked(text string) *engine.Edit {
	s.t.Helper()
	edits, err := s.look(text).Changed(s.t.Context(), s.env)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(edits) > 1 {
		s.t.Fatalf("got %+v", edits)
	}
	if len(edits) == 0 {
		return nil
	}
	return &edits[0]
}

// A field that the manifest sets and that has another value is a difference and is set
// back; what others added, what the manifest leaves empty and what goes away is none.
func TestChangedFields(t *testing.T) {
	type m = map[string]any
	const live = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns, labels: {team: x, others: w}%s}, data: {level: \"%s\", others: z}}"
	const want = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {team: x}, annotations: null}, data: {level: \"1\", empty: \"\"}}"
	for name, c := range map[string]struct {
		live       string
		have, want m // nil for no edit
	}{
		"as it was":             {fmt.Sprintf(live, "", "1"), nil, nil},
		"another value":         {fmt.Sprintf(live, "", "9"), m{"data/level": "9"}, m{"data/level": "1"}},
		"a field that is gone":  {"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns, labels: {team: x}}}", m{}, m{"data/level": "1", "data/empty": ""}},
		"a label":               {strings.Replace(fmt.Sprintf(live, "", "1"), "team: x", "team: z", 1), m{"metadata/labels/team": "z"}, m{"metadata/labels/team": "x"}},
		"one of a controller":   {fmt.Sprintf(live, `, managedFields: [{manager: some-controller, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:data": {"f:level": {}}}}]`, "9"), nil, nil},
		"one that goes away":    {fmt.Sprintf(live, `, deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: [x]`, "9"), nil, nil},
		"one that is not there": {"{apiVersion: v1, kind: ConfigMap, metadata: {name: other, namespace: ns}}", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, c.live)
			e := s.looked(want)
			if c.want == nil {
				if e != nil {
					t.Errorf("got %+v", e)
				}
				return
			}
			if e == nil {
				t.Fatal("no edit")
			}
			got := e.Want.(m)
			for path := range got { // an in-memory server keeps an empty text
				if path == "data/empty" {
					delete(got, path)
				}
			}
			delete(c.want, "data/empty")
			if d := cmp.Diff([]m{c.have, c.want}, []m{e.Have.(m), got}); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if e.Path != "ConfigMap/ns/a" || !strings.HasPrefix(e.Note, "changed since revision 1 of release app") {
				t.Errorf("%s: note %q", e.Path, e.Note)
			}
			if err := e.Apply(engine.AllowWrites(t.Context())); err != nil {
				t.Fatal(err)
			}
			after := s.Object("/api/v1/namespaces/ns/configmaps/a")
			level, _, _ := unstructured.NestedString(after.Object, "data", "level")
			others, _, _ := unstructured.NestedString(after.Object, "data", "others")
			if level != "1" || after.GetLabels()["team"] != "x" || strings.Contains(c.live, "others: z") && (others != "z" || after.GetLabels()["others"] != "w") {
				t.Errorf("after it was set back: %v", after.Object)
			}
			if e := s.lookAgain(); e != nil {
				t.Errorf("a second look differs: %+v", e)
			}
		})
	}
}

// lookAgain looks again at the release that is stored.
func (s *scene) lookAgain() *engine.Edit {
	s.t.Helper()
	st, err := s.read().Look(s.t.Context(), s.env, s.cluster)
	if err != nil {
		s.t.Fatal(err)
	}
	edits, err := st.Changed(s.t.Context(), s.env)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(edits) == 0 {
		return nil
	}
	return &edits[0]
}

// The note names those who changed the field, but not this program.
func TestWhoChangedAField(t *testing.T) {
	const live = `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns, managedFields: [{manager: %s, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:data": {"f:level": {}}}}]}, data: {level: "9"}}`
	for manager, want := range map[string]bool{"kubectl-edit": true, "ztplan": false} {
		e := newScene(t, fmt.Sprintf(live, manager)).looked(fmt.Sprintf(configMap, "a"))
		if e == nil || strings.Contains(e.Note, manager) != want {
			t.Errorf("%s: got %+v", manager, e)
		}
	}
}

// A difference of a Secret shows that there is one and not what it is.
func TestChangedSecret(t *testing.T) {
	s := newScene(t, "{apiVersion: v1, kind: Secret, metadata: {name: a, namespace: ns}, data: {password: Y2hhbmdlZC1ieS1oYW5k}}")
	var concealed []string
	s.env.Conceal = func(found ...engine.Secret) {
		for _, f := range found {
			concealed = append(concealed, f.Reveal())
		}
	}
	e := s.looked("{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {password: as-it-was-made}}")
	if e == nil {
		t.Fatal("no edit")
	}
	for _, hidden := range []string{"changed-by-hand", "Y2hhbmdlZC1ieS1oYW5k", "as-it-was-made", "YXMtaXQtd2FzLW1hZGU="} {
		if text := fmt.Sprint(e.Have, e.Want, e.Note); strings.Contains(text, hidden) {
			t.Errorf("%s is shown: %s", hidden, text)
		}
	}
	for _, hidden := range []string{"changed-by-hand", "as-it-was-made"} {
		if !strings.Contains(strings.Join(concealed, " "), hidden) {
			t.Errorf("%s is not looked for in what the run prints: %v", hidden, concealed)
		}
	}
}

// The answer that there is no difference, because the API server writes a value in
// another way, is asked for once in a run, until the object changes.
func TestAskedOnce(t *testing.T) {
	s := newScene(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns}, data: {cpu: \"1\"}}")
	asked := 0
	s.Refuse = func(verb, path string) error {
		if verb == "PATCH" {
			asked++
		}
		return nil
	}
	s.Admit = func(o *unstructured.Unstructured) {
		if cpu, _, _ := unstructured.NestedString(o.Object, "data", "cpu"); cpu == "1000m" {
			_ = unstructured.SetNestedField(o.Object, "1", "data", "cpu")
		}
	}
	st := s.look("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {cpu: 1000m}}")
	for range 3 {
		if edits, err := st.Changed(t.Context(), s.env); err != nil || len(edits) > 0 {
			t.Fatalf("got %v, %v", edits, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	s.Put(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns}, data: {cpu: \"2\"}}")
	if e := s.lookAgain(); e == nil || asked != 2 {
		t.Errorf("after it was changed: %v, asked %d times", e, asked)
	}
}

// A user who may not write gets the difference by the fields of the manifest, and is told
// so once.
func TestChangedForAReader(t *testing.T) {
	s := newScene(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns}, data: {level: \"9\", others: x}}")
	s.Refuse = func(verb, path string) error {
		if verb == "PATCH" {
			return denied("patch", "configmaps")
		}
		return nil
	}
	st := s.look(fmt.Sprintf(configMap, "a"))
	for range 2 {
		edits, err := st.Changed(t.Context(), s.env)
		if err != nil || len(edits) != 1 {
			t.Fatalf("got %v, %v", edits, err)
		}
		if d := cmp.Diff([]any{map[string]any{"data/level": "9"}, map[string]any{"data/level": "1"}}, []any{edits[0].Have, edits[0].Want}); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	if len(s.warned) != 1 || !strings.Contains(s.warned[0], "user ci may not patch configmaps in namespace ns") {
		t.Errorf("warned %q", s.warned)
	}
}

// What the API server refuses for good is the error of the look, with a hint where one
// is known; another error names the object.
func TestChangedThatIsRefused(t *testing.T) {
	gk := schema.GroupKind{Kind: "ConfigMap"}
	for name, c := range map[string]struct {
		refused   error
		permanent bool
		hint      string
	}{
		"an immutable field":  {apierrors.NewInvalid(gk, "a", nil), true, ""},
		"a webhook":           {&apierrors.StatusError{ErrStatus: apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, "a", errors.New(`admission webhook "w" denied the request: no`)).ErrStatus}, true, ""},
		"a server that fails": {apierrors.NewServerTimeout(schema.GroupResource{Resource: "configmaps"}, "patch", 0), false, ""},
	} {
		s := newScene(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ns}, data: {level: \"9\"}}")
		s.Refuse = func(verb, _ string) error {
			if verb == "PATCH" {
				return c.refused
			}
			return nil
		}
		edits, err := s.look(fmt.Sprintf(configMap, "a")).Changed(t.Context(), s.env)
		if err == nil || len(edits) > 0 || !strings.Contains(err.Error(), "ConfigMap/ns/a") || errors.Is(err, engine.ErrPermanent) != c.permanent {
			t.Errorf("%s: got %v, %v", name, edits, err)
		}
	}
}

// An object that changes between the look and the edit is looked at again: the edit sets
// back what it was made for and overwrites nothing else.
func TestApplyToWhatHasMoved(t *testing.T) {
	const live = "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: ns, annotations: {count: \"%d\"}}, spec: {ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP, name: %s}]}}"
	s := newScene(t, fmt.Sprintf(live, 1, "x"))
	e := s.looked("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP, name: dns}]}}")
	if e == nil {
		t.Fatal("no edit")
	}
	s.Put(t, fmt.Sprintf(live, 2, "y"))
	if err := e.Apply(engine.AllowWrites(t.Context())); err != nil {
		t.Fatal(err)
	}
	got := s.Object("/api/v1/namespaces/ns/services/a")
	ports, _, _ := unstructured.NestedSlice(got.Object, "spec", "ports")
	if got.GetAnnotations()["count"] != "2" || len(ports) != 2 || ports[1].(map[string]any)["name"] != "dns" {
		t.Errorf("got %v", got.Object)
	}
	// One that somebody else has set right needs nothing; one that was deleted is not made.
	for name, between := range map[string]func(){
		"set right": func() { s.Put(t, fmt.Sprintf(live, 4, "dns")) },
		"deleted":   func() { s.remove("/api/v1/namespaces/ns/services/a") },
	} {
		s.Put(t, fmt.Sprintf(live, 3, "z"))
		e := s.lookAgain()
		if e == nil {
			t.Fatal("no edit")
		}
		between()
		s.Writes()
		err := e.Apply(engine.AllowWrites(t.Context()))
		if (err != nil) != (name == "deleted") {
			t.Errorf("%s: %v", name, err)
		}
		if writes := s.Writes(); len(writes) > 0 {
			t.Errorf("%s: it writes %v", name, writes)
		}
	}
}

func (s *scene) remove(path string) {
	s.t.Helper()
	rest := s.cluster.Client().CoreV1().RESTClient()
	if err := rest.Delete().AbsPath(path).Do(engine.AllowWrites(s.t.Context())).Error(); err != nil {
		s.t.Fatal(err)
	}
}

// Fields that a controller keeps are neither differences nor changed by an upgrade,
// unless the chart changes that very field.
func TestKeptFields(t *testing.T) {
	const deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: ns}, spec: {replicas: %d, paused: false}}"
	const scaler = "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: ns}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: %s, name: %s}}}"
	const hook = "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: w, annotations: {%s}}, webhooks: [{name: a, clientConfig: {caBundle: %s}}]}"
	for name, c := range map[string]struct {
		scaler               string
		before, target, live string
		kept                 []string
	}{
		"an autoscaler":               {fmt.Sprintf(scaler, "Deployment", "web"), fmt.Sprintf(deployment, 1), fmt.Sprintf(deployment, 1), fmt.Sprintf(deployment, 5), []string{"spec/replicas"}},
		"one of another Deployment":   {fmt.Sprintf(scaler, "Deployment", "api"), fmt.Sprintf(deployment, 1), fmt.Sprintf(deployment, 1), fmt.Sprintf(deployment, 5), nil},
		"one of a StatefulSet":        {fmt.Sprintf(scaler, "StatefulSet", "web"), fmt.Sprintf(deployment, 1), fmt.Sprintf(deployment, 1), fmt.Sprintf(deployment, 5), nil},
		"none":                        {"", fmt.Sprintf(deployment, 1), fmt.Sprintf(deployment, 1), fmt.Sprintf(deployment, 5), nil},
		"a chart that scales":         {fmt.Sprintf(scaler, "Deployment", "web"), fmt.Sprintf(deployment, 1), fmt.Sprintf(deployment, 2), fmt.Sprintf(deployment, 5), nil},
		"as many as in the chart":     {fmt.Sprintf(scaler, "Deployment", "web"), fmt.Sprintf(deployment, 5), fmt.Sprintf(deployment, 5), fmt.Sprintf(deployment, 5), nil},
		"an injected bundle":          {"", fmt.Sprintf(hook, "", "QQ=="), fmt.Sprintf(hook, "", "QQ=="), fmt.Sprintf(hook, "cert-manager.io/inject-ca-from: a/b", "Qg=="), []string{"webhooks[a]/clientConfig/caBundle"}},
		"a bundle that a person set":  {"", fmt.Sprintf(hook, "", "QQ=="), fmt.Sprintf(hook, "", "QQ=="), fmt.Sprintf(hook, "", "Qg=="), nil},
		"a chart with another bundle": {"", fmt.Sprintf(hook, "", "QQ=="), fmt.Sprintf(hook, "", "Qw=="), fmt.Sprintf(hook, "cert-manager.io/inject-ca-from: a/b", "Qg=="), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			if c.scaler != "" {
				s.Put(t, c.scaler)
			}
			kept, err := KeptFields(t.Context(), s.cluster, object(t, c.before), object(t, c.target), object(t, c.live))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for path := range kept {
				got = append(got, path)
			}
			if d := cmp.Diff(c.kept, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	s := newScene(t)
	look := func() (map[string]bool, error) {
		return KeptFields(t.Context(), s.cluster, object(t, fmt.Sprintf(deployment, 1)), object(t, fmt.Sprintf(deployment, 1)), object(t, fmt.Sprintf(deployment, 5)))
	}
	s.Refuse = func(string, string) error { return denied("list", "horizontalpodautoscalers") }
	if kept, err := look(); err != nil || len(kept) > 0 {
		t.Errorf("who may not list autoscalers: %v, %v", kept, err)
	}
	s.Refuse = func(string, string) error {
		return apierrors.NewServerTimeout(schema.GroupResource{Resource: "horizontalpodautoscalers"}, "list", 0)
	}
	if kept, err := look(); err == nil {
		t.Errorf("a server that does not answer: nothing scales it, %v", kept)
	}
}

// Pods that an upgrade did not reach are deleted from the last to the first, the active
// server at the end, and one only while all others are ready.
func TestOutdatedPods(t *testing.T) {
	const set = "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: v, namespace: ns, uid: set, generation: 1}, spec: {replicas: %d, updateStrategy: {type: OnDelete}, selector: {matchLabels: {app: v}}, template: {metadata: {labels: {app: v}}, spec: {containers: [{name: c, image: \"i:2\"}]}}}, status: {observedGeneration: 1, updateRevision: r2}}"
	const pod = "{apiVersion: v1, kind: Pod, metadata: {name: %s, namespace: ns, uid: %[1]s, labels: {app: v, controller-revision-hash: %s%s}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: v, uid: set, controller: true}]}, spec: {containers: [{name: c, image: \"%s\"}]}, status: {phase: Running, conditions: [{type: Ready, status: \"%s\"}]}}"
	three := func(ready string) []string {
		return []string{
			fmt.Sprintf(set, 3),
			fmt.Sprintf(pod, "v-0", "r1", "", "i:1", "True"),
			fmt.Sprintf(pod, "v-1", "r1", "", "i:1", ready),
			fmt.Sprintf(pod, "v-2", "r1", ", vault-active: \"true\"", "i:1", "True"),
		}
	}
	find := func(s *scene) []Outdated {
		t.Helper()
		pods, err := s.look(fmt.Sprintf(set, 3)).Outdated(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return pods
	}
	s := newScene(t, three("True")...)
	var paths []string
	pods := find(s)
	for _, o := range pods {
		e := o.Restart(false)
		paths = append(paths, e.Path)
		type m = map[string]any
		if d := cmp.Diff([]any{m{"revision": "r1", "containers[c]/image": "i:1"}, m{"revision": "r2", "containers[c]/image": "i:2"}}, []any{e.Have, e.Want}); d != "" {
			t.Errorf("%s (-want +got):\n%s", e.Path, d)
		}
		if text := o.String(); !strings.Contains(text, "(image i:1, not i:2)") || !strings.Contains(text, "OnDelete") {
			t.Errorf("%s: %s", e.Path, text)
		}
	}
	if d := cmp.Diff([]string{"Pod/ns/v-1", "Pod/ns/v-0", "Pod/ns/v-2"}, paths); d != "" {
		t.Errorf("the active one is not last (-want +got):\n%s", d)
	}
	s.Writes()
	if err := pods[0].Restart(false).Apply(engine.AllowWrites(t.Context())); err != nil {
		t.Errorf("with all others ready: %v", err)
	}
	if d := cmp.Diff([]string{"DELETE /api/v1/namespaces/ns/pods/v-1"}, s.deletes()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	s = newScene(t, three("False")...)
	err := find(s)[1].Restart(false).Apply(engine.AllowWrites(t.Context()))
	if err == nil || !strings.Contains(err.Error(), "v-0 is not deleted while") || !strings.Contains(engine.HintOf(err), "one pod after another") {
		t.Errorf("while another is not ready: %v, hint %q", err, engine.HintOf(err))
	}
	if deletes := s.deletes(); len(deletes) > 0 {
		t.Errorf("it deletes %v", deletes)
	}

	// One that is another already needs nothing.
	s = newScene(t, three("True")...)
	o := find(s)[0]
	s.remove("/api/v1/namespaces/ns/pods/v-1")
	if err := o.Restart(false).Apply(engine.AllowWrites(t.Context())); err != nil {
		t.Errorf("a pod that is gone: %v", err)
	}

	// The wait for the new one ends with the run, and says what it waited for.
	s = newScene(t, three("True")...)
	o = find(s)[0]
	ctx, cancel := timeout(t, 300*time.Millisecond)
	defer cancel()
	if err := o.Restart(true).Apply(engine.AllowWrites(ctx)); err == nil || engine.HintOf(err) == "" {
		t.Errorf("a new pod that does not come: %v, hint %q", err, engine.HintOf(err))
	}

	s = newScene(t, three("True")...)
	st := s.look(fmt.Sprintf(set, 3))
	s.Refuse = func(_, path string) error {
		if strings.HasSuffix(path, "/pods") {
			return denied("list", "pods")
		}
		return nil
	}
	if _, err := st.Outdated(t.Context()); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "StatefulSet/ns/v") {
		t.Errorf("who may not list pods: %v", err)
	}
}

func (s *scene) deletes() []string {
	var out []string
	for _, w := range s.Writes() {
		if strings.HasPrefix(w, "DELETE ") {
			out = append(out, w)
		}
	}
	return out
}

// Where the API server refuses a patch because it makes a second element of a list, the
// list becomes the manifest's as a whole, by a patch for the object as it was read.
func TestListsThatAreReplaced(t *testing.T) {
	s := newScene(t, "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: ns}, spec: {clusterIP: 10.0.0.1, ports: [{name: web, port: 81}]}}")
	patches := 0
	s.Refuse = func(verb, _ string) error {
		if verb == "PATCH" {
			if patches++; patches == 1 {
				return apierrors.NewInvalid(schema.GroupKind{Kind: "Service"}, "a", nil)
			}
		}
		return nil
	}
	e := s.looked("{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{name: web, port: 80}]}}")
	if e == nil || patches != 2 {
		t.Fatalf("got %+v after %d questions", e, patches)
	}
	if err := e.Apply(engine.AllowWrites(t.Context())); err != nil {
		t.Fatal(err)
	}
	got := s.Object("/api/v1/namespaces/ns/services/a")
	ports, _, _ := unstructured.NestedSlice(got.Object, "spec", "ports")
	ip, _, _ := unstructured.NestedString(got.Object, "spec", "clusterIP")
	if len(ports) != 1 || fmt.Sprint(ports[0].(map[string]any)["port"]) != "80" || ip != "10.0.0.1" {
		t.Errorf("got %v", got.Object)
	}
}
