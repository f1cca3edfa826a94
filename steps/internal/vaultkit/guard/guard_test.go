package guard

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// Being let in is one write to one path; nothing else passes with it.
func TestGuardWhileLoggingIn(t *testing.T) {
	looking := t.Context()
	loggingIn := AllowWrite(looking, "auth/kubernetes/login")
	for _, c := range []struct {
		ctx          context.Context
		method, path string
		passes       bool
	}{
		{looking, "GET", "/v1/sys/mounts", true},
		{looking, "PUT", "/v1/auth/kubernetes/login", false},
		{loggingIn, "PUT", "/v1/auth/kubernetes/login", true},
		{loggingIn, "PUT", "/v1/auth/kubernetes/login/x", false},
		{loggingIn, "PUT", "/v1/auth/other/login", false},
		{loggingIn, "PUT", "/v1/sys/mounts/pki", false},
		{loggingIn, "DELETE", "/v1/sys/mounts/pki", false},
		{engine.AllowWrites(looking), "PUT", "/v1/sys/mounts/pki", true},
	} {
		sent := false
		next := roundTrip(func(*http.Request) (*http.Response, error) {
			sent = true
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		r, err := http.NewRequestWithContext(c.ctx, c.method, "http://vault"+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Guard{Next: next}.RoundTrip(r)
		if sent != c.passes || sent == errors.Is(err, ErrReadOnly) {
			t.Errorf("%s %s: sent %v (%v), want %v", c.method, c.path, sent, err, c.passes)
		}
	}
}

// An edit writes nothing once its run may have lost the lock; looks go on.
func TestGuardInDoubt(t *testing.T) {
	lost := errors.New("renewed 26s ago")
	ctx := engine.WritesWhile(engine.AllowWrites(t.Context()), func() error { return lost })
	for method, want := range map[string]error{"GET": nil, "LIST": nil, "POST": lost, "PUT": lost, "DELETE": lost} {
		sent := false
		next := roundTrip(func(*http.Request) (*http.Response, error) {
			sent = true
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		r, err := http.NewRequestWithContext(ctx, method, "http://vault/v1/sys/mounts/pki", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = (Guard{Next: next}).RoundTrip(r); !errors.Is(err, want) || sent != (want == nil) {
			t.Errorf("%s: sent %v, error %v, want %v", method, sent, err, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
