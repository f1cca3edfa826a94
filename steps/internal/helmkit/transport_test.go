package helmkit

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
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
