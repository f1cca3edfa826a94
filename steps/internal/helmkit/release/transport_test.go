package release

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// roundTrip lets a function be a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBoundRequests(t *testing.T) {
	type seen struct {
		writes, cancelled bool
		check             error
	}
	var last *seen
	next := roundTrip(func(r *http.Request) (*http.Response, error) {
		last = &seen{engine.WritesAllowed(r.Context()), r.Context().Err() != nil, engine.WriteCheck(r.Context())}
		w := httptest.NewRecorder()
		return w.Result(), nil
	})
	do := func(edit context.Context, method, path string) (*seen, error) {
		last = nil
		req, err := http.NewRequest(method, "https://cluster.example.com"+path, strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&bound{next: next, edit: edit}).RoundTrip(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return last, err
	}
	const configMap, record = "/api/v1/namespaces/a/configmaps/b", "/api/v1/namespaces/a/secrets/sh.helm.release.v1.app.v1"

	if got, err := do(t.Context(), "PUT", configMap); err != nil || got.writes {
		t.Errorf("an edit that may not write: %+v, error %v", got, err)
	}
	lost := errors.New("renewed 26s ago")
	doubtful := engine.WritesWhile(engine.AllowWrites(t.Context()), func() error { return lost })
	for _, path := range []string{configMap, record} { // Helm's requests have contexts of their own
		if got, err := do(doubtful, "PUT", path); err != nil || got.check != lost {
			t.Errorf("an edit whose run may have lost its lock: %+v, error %v", got, err)
		}
	}
	edit, cancel := context.WithCancelCause(engine.AllowWrites(t.Context()))
	if got, err := do(edit, "PUT", configMap); err != nil || !got.writes || got.cancelled {
		t.Errorf("an edit that may: %+v, error %v", got, err)
	}
	stop := errors.New("stop")
	cancel(stop)
	if got, err := do(edit, "PUT", configMap); got != nil || !errors.Is(err, stop) {
		t.Errorf("an edit that was cut off: %+v, error %v", got, err)
	}
	if got, err := do(edit, "PUT", record); err != nil || !got.writes || got.cancelled {
		t.Errorf("recording it: %+v, error %v", got, err)
	}
	if got, err := do(edit, "DELETE", record); got != nil || err == nil {
		t.Errorf("deleting the record of an edit that was cut off: %+v, error %v", got, err)
	}
}

func TestConfigForHelm(t *testing.T) {
	env := labtest.Env(t)
	c, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	ns := labtest.Namespace(t, env)
	writes := engine.AllowWrites(t.Context())
	if _, err := c.Client().CoreV1().ConfigMaps(ns).Create(writes, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, ctx := range []context.Context{t.Context(), writes} {
		client, err := kubernetes.NewForConfig(ConfigFor(ctx, c))
		if err != nil {
			t.Fatal(err)
		}
		err = client.CoreV1().ConfigMaps(ns).Delete(context.Background(), "x", metav1.DeleteOptions{})
		if allowed := engine.WritesAllowed(ctx); errors.Is(err, kubekit.ErrReadOnly) == allowed {
			t.Errorf("delete without a context, allowed %v: got %v", allowed, err)
		}
	}
}
