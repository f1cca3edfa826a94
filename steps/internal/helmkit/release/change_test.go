package release

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// A write of others between the read and the question is no difference, and
// counts in the wanted state of the object.
func TestAskAboutWhatHasMoved(t *testing.T) {
	env := labtest.Env(t)
	cluster, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	ns := labtest.Namespace(t, env)
	maps := cluster.Client().CoreV1().ConfigMaps(ns)
	write := func(data map[string]string) {
		t.Helper()
		o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Data: data}
		ctx := engine.AllowWrites(t.Context())
		if _, err := maps.Update(ctx, o, metav1.UpdateOptions{}); err != nil {
			if _, err := maps.Create(ctx, o, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(map[string]string{"level": "1"})
	ref := kubekit.Ref{APIVersion: "v1", Kind: "ConfigMap", Namespace: ns, Name: "app"}
	read, err := cluster.Read(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	level := func(value string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]any{"name": "app", "namespace": ns},
			"data":     map[string]any{"level": value},
		}}
	}
	type m = map[string]any
	look := func(aim func(live *unstructured.Unstructured) *unstructured.Unstructured) *Change {
		c := &Change{Ref: ref, Live: read[0]}
		c.Aim = func(_ context.Context, live *unstructured.Unstructured) (_, _ *unstructured.Unstructured, _ error) {
			target := aim(live)
			return target, target, nil
		}
		return c
	}

	write(map[string]string{"level": "1", "revision": "2"})
	c := look(func(*unstructured.Unstructured) *unstructured.Unstructured { return level("3") })
	if err := c.Ask(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]m{{"data/level": "1"}, {"data/level": "3"}}, []m{c.Have, c.Want}); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	c = look(func(live *unstructured.Unstructured) *unstructured.Unstructured {
		if revision, _, _ := unstructured.NestedString(live.Object, "data", "revision"); revision != "" {
			return nil // its controller has taken it over
		}
		return level("3")
	})
	if err := c.Ask(t.Context(), cluster); err != nil || c.Have != nil || c.Want != nil {
		t.Errorf("taken over: %v, have %v, want %v", err, c.Have, c.Want)
	}

	c = look(func(live *unstructured.Unstructured) *unstructured.Unstructured {
		write(map[string]string{"level": "1", "revision": live.GetResourceVersion()})
		return level("3")
	})
	if err := c.Ask(t.Context(), cluster); err == nil || !strings.Contains(err.Error(), "changes faster than it can be read") {
		t.Errorf("never still: %v", err)
	}

	c = look(func(*unstructured.Unstructured) *unstructured.Unstructured { return level("3") })
	if err := maps.Delete(engine.AllowWrites(t.Context()), "app", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Ask(t.Context(), cluster); err == nil {
		t.Error("deleted: no error")
	}
}
