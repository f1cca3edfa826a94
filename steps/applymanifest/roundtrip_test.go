package applymanifest_test

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/diff"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/internal/kubetypes"
	"github.com/ztplan/ztplan/steps/internal/labtest/openapitest"
)

// Whatever the API server accepts has no problem offline, is applied by one edit and
// then shows no difference. ZTPLAN_FULL=1 tries twelve objects of each kind instead of three,
// and ZTPLAN_SEED=N the one with that seed.
func TestRoundTrip(t *testing.T) {
	w := newFixture(t)
	first, each := uint64(1), uint64(3)
	if os.Getenv("ZTPLAN_FULL") != "" {
		each = 12
	}
	if text := os.Getenv("ZTPLAN_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, each = n, 1
	}
	kinds := openapitest.Kinds(t, w.cluster)
	var made, accepted atomic.Int64
	slots := make(chan struct{}, 8)
	var wg sync.WaitGroup
	for _, k := range kinds {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			any := false
			for seed := first; seed < first+each; seed++ {
				if object := k.Object(t, w.cluster, w.namespace, seed); object != nil {
					w.roundTrip(k, object, seed)
					made.Add(1)
					any = true
				}
			}
			if any {
				accepted.Add(1)
			} else {
				t.Logf("%s: nothing that is accepted", k)
			}
		})
	}
	wg.Wait()
	t.Logf("%d objects of %d kinds, of %d", made.Load(), accepted.Load(), len(kinds))
	if least := int64(len(kinds) * 3 / 4); accepted.Load() < least && first == 1 {
		t.Errorf("objects of %d kinds only, want %d: the generator has lost its way", accepted.Load(), least)
	}
}

func (w *fixture) roundTrip(k openapitest.Kind, object map[string]any, seed uint64) {
	text, err := json.Marshal(object)
	if err != nil {
		w.Error(err)
		return
	}
	fails := func(format string, args ...any) {
		w.Errorf("%s, ZTPLAN_SEED=%d: "+format+"\n%s", append(append([]any{k, seed}, args...), text)...)
	}
	for _, p := range kubetypes.CheckBuiltin(&unstructured.Unstructured{Object: toJSON(object).(map[string]any)}) {
		fails("a false problem: %s: %s", p.Field, p.Message)
	}
	spec := applymanifest.Kind.New().(*applymanifest.Spec)
	spec.Manifests, spec.Namespace, spec.Wait.For = toJSON(object), w.namespace, "none"
	defer func() {
		namespace := ""
		if k.Namespaced {
			namespace = w.namespace
		}
		resource, err := w.cluster.Resource(k.GroupVersionKind, namespace)
		if err != nil {
			return
		}
		name, _ := object["metadata"].(map[string]any)["name"].(string)
		_ = resource.Delete(engine.AllowWrites(context.WithoutCancel(w.Context())), name, metav1.DeleteOptions{})
	}()
	_, edits, err := spec.Inspect(w.Context(), w.env)
	if err != nil || len(edits) != 1 {
		fails("looking: %d edits, %v", len(edits), err)
		return
	}
	if err := edits[0].Apply(engine.AllowWrites(w.Context())); err != nil {
		fails("applying: %v", err)
		return
	}
	_, edits, err = spec.Inspect(w.Context(), w.env)
	if err != nil {
		fails("looking again: %v", err)
	}
	for _, e := range edits {
		fails("%s differs after it was applied:\n%s", e.Path, strings.Join(diff.Lines(e.Have, e.Want), "\n"))
	}
}

// toJSON is the object as it is decoded from JSON.
func toJSON(object map[string]any) any {
	text, _ := json.Marshal(object)
	var v any
	_ = json.Unmarshal(text, &v)
	return v
}
