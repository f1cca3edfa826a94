package kubekit

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An edit writes nothing once its run may have lost the lock; looks go on.
func TestGuard(t *testing.T) {
	lost := errors.New("renewed 26s ago")
	edit := engine.AllowWrites(t.Context())
	doubtful := engine.WritesWhile(edit, func() error { return lost })
	const object = "https://cluster.example.com/api/v1/namespaces/a/configmaps/b"
	for _, c := range []struct {
		ctx    context.Context
		method string
		want   error
	}{
		{t.Context(), "GET", nil}, {t.Context(), "PATCH", ErrReadOnly}, {edit, "PATCH", nil},
		{doubtful, "PATCH", lost}, {doubtful, "DELETE", lost}, {doubtful, "GET", nil},
	} {
		sent := false
		g := &guard{roundTrip(func(*http.Request) (*http.Response, error) {
			sent = true
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})}
		r, err := http.NewRequestWithContext(c.ctx, c.method, object, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = g.RoundTrip(r); !errors.Is(err, c.want) || sent != (c.want == nil) {
			t.Errorf("%s: sent %v, error %v, want %v", c.method, sent, err, c.want)
		}
	}
}
