package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

const configMap = "{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {level: \"%d\"}}"

// Objects that go away are let go; what another manager changed names it, and what
// this program changed does not.
func TestChangedIsNoted(t *testing.T) {
	s := newScene(t)
	maps := s.cluster.Client().CoreV1().ConfigMaps(s.namespace)
	ctx := engine.AllowWrites(t.Context())
	patch := func(name, patch, manager string) {
		t.Helper()
		if _, err := maps.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: manager}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"leaving", "person", "program", "same"} {
		s.put(fmt.Sprintf(configMap, name, 1))
	}
	patch("leaving", `{"metadata":{"finalizers":["example.com/stays"]}}`, "kubectl-edit")
	t.Cleanup(func() {
		_, err := maps.Patch(engine.AllowWrites(context.Background()), "leaving", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	for name, manager := range map[string]string{"leaving": "kubectl-edit", "person": "kubectl-edit", "program": fieldManager} {
		patch(name, `{"data":{"level":"9"}}`, manager)
	}
	s.remove(fmt.Sprintf(configMap, "leaving", 1))
	s.deployed("app", fmt.Sprintf(configMap, "leaving", 1), fmt.Sprintf(configMap, "person", 1), fmt.Sprintf(configMap, "program", 1),
		fmt.Sprintf(configMap, "same", 1), fmt.Sprintf(configMap, "absent", 1))
	notes := map[string]string{}
	for path, e := range s.changed("app") {
		notes[path] = e.Note
	}
	if d := cmp.Diff(map[string]string{
		"ConfigMap/NS/person":  "changed since revision 1 of release app, set by kubectl-edit",
		"ConfigMap/NS/program": "changed since revision 1 of release app",
	}, notes); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Both values of a Secret that was changed are hidden in all that the run prints.
func TestChangedSecretsAreConcealed(t *testing.T) {
	s := newScene(t)
	s.put("{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {password: changed-by-hand}}")
	var concealed []string
	s.env.Conceal = func(found ...engine.Secret) {
		for _, f := range found {
			concealed = append(concealed, f.Reveal())
		}
	}
	s.deployed("app", "{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {password: as-it-was-made}}")
	e := s.changed("app")["Secret/NS/a"]
	if e.Apply == nil {
		t.Fatal("no edit")
	}
	for _, hidden := range []string{"changed-by-hand", "Y2hhbmdlZC1ieS1oYW5k", "as-it-was-made", "YXMtaXQtd2FzLW1hZGU="} {
		if text := fmt.Sprint(e.Have, e.Want, e.Note); strings.Contains(text, hidden) {
			t.Errorf("%s is shown: %s", hidden, text)
		}
	}
	for _, hidden := range []string{"changed-by-hand", "as-it-was-made"} {
		if !slices.Contains(concealed, hidden) {
			t.Errorf("%s is not looked for in what the run prints: %v", hidden, concealed)
		}
	}
}

// The answer that there is no difference, because the API server writes a value in
// another way, is asked for once in a run, until the object changes.
func TestAskedOnce(t *testing.T) {
	s := newScene(t)
	const quota = "{apiVersion: v1, kind: ResourceQuota, metadata: {name: a}, spec: {hard: {requests.cpu: %s}}}"
	s.put(fmt.Sprintf(quota, "1"))
	s.deployed("app", fmt.Sprintf(quota, "1000m"))
	var asked atomic.Int32
	s.env = labtest.Through(t, s.env, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			asked.Add(1)
		}
		return true
	})
	for range 3 {
		if found := s.changed("app"); len(found) > 0 {
			t.Fatalf("got %v", found)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	s.put(fmt.Sprintf(quota, "2"))
	if found := s.changed("app"); len(found) != 1 || asked.Load() != 2 {
		t.Errorf("after it was changed: %v, asked %d times", found, asked.Load())
	}
}

// A user who may not write gets the difference by the fields of the manifest, and is told
// so once.
func TestChangedForAReader(t *testing.T) {
	s := newScene(t)
	s.put("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {level: \"9\", others: x}}")
	s.deployed("app", fmt.Sprintf(configMap, "a", 1))
	s.env = labtest.Reader(t, s.env, s.namespace, "secrets", "configmaps")
	var warned []string
	s.env.Warnf = func(format string, args ...any) { warned = append(warned, fmt.Sprintf(format, args...)) }
	for range 2 {
		e := s.changed("app")["ConfigMap/NS/a"]
		if d := cmp.Diff([]any{map[string]any{"data/level": "9"}, map[string]any{"data/level": "1"}}, []any{e.Have, e.Want}); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "may not patch configmaps in namespace "+s.namespace) {
		t.Errorf("warned %q", warned)
	}
}

// What the API server refuses for good is the error of the look, and names the object.
func TestChangedThatIsRefused(t *testing.T) {
	s := newScene(t)
	s.put("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {level: \"9\"}, immutable: true}")
	st := s.deployed("app", fmt.Sprintf(configMap, "a", 1))
	edits, err := st.Changed(t.Context(), s.env)
	if len(edits) > 0 || !errors.Is(err, engine.ErrPermanent) || !strings.Contains(err.Error(), "ConfigMap/"+s.namespace+"/a") || !strings.Contains(err.Error(), "immutable") {
		t.Errorf("got %v, %v", edits, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the run is over"))
	if edits, err := st.Changed(ctx, s.env); len(edits) > 0 || err == nil || err.Error() != "the run is over" {
		t.Errorf("when the run is over: got %v, %v", edits, err)
	}
}

// An object that changes between the look and the edit is looked at again: the edit sets
// back what it was made for and overwrites nothing else.
func TestApplyToWhatHasMoved(t *testing.T) {
	// A patch that can only replace the list as a whole: the number of a port is its key.
	const service = "{apiVersion: v1, kind: Service, metadata: {name: %s, annotations: {count: \"%d\"}}, spec: {ports: [{name: web, port: %d}]}}"
	s := newScene(t)
	names := []string{"moved", "right", "deleted"}
	var texts []string
	for _, name := range names {
		s.put(fmt.Sprintf(service, name, 1, 81))
		texts = append(texts, fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: %s}, spec: {ports: [{name: web, port: 80}]}}", name))
	}
	s.deployed("app", texts...)
	edits := s.changed("app")
	ip, _, _ := unstructured.NestedString(s.get(texts[0]).Object, "spec", "clusterIP")
	s.put(fmt.Sprintf(service, "moved", 2, 82), fmt.Sprintf(service, "right", 2, 80))
	s.remove(texts[2])
	right := s.get(texts[1]).GetResourceVersion()
	for i, name := range names {
		e := edits["Service/NS/"+name]
		if e.Apply == nil {
			t.Fatalf("no edit of %s: %v", name, slices.Collect(maps.Keys(edits)))
		}
		err := e.Apply(engine.AllowWrites(t.Context()))
		o := s.get(texts[i])
		if name == "deleted" {
			if err == nil || o != nil {
				t.Errorf("one that was deleted: %v, made anew: %v", err, o != nil)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ports, _, _ := unstructured.NestedSlice(o.Object, "spec", "ports")
		if len(ports) != 1 || fmt.Sprint(ports[0].(map[string]any)["port"]) != "80" || o.GetAnnotations()["count"] != "2" {
			t.Errorf("%s: got %v", name, o.Object)
		}
		if now, _, _ := unstructured.NestedString(o.Object, "spec", "clusterIP"); i == 0 && now != ip {
			t.Errorf("cluster IP %s, was %s", now, ip)
		}
		if name == "right" && o.GetResourceVersion() != right {
			t.Error("one that somebody else has set right is written")
		}
	}
}
