// Package guard is the way of a client's requests to Vault: it refuses writes while a step
// looks, keeps answers of a cluster of servers consistent, and follows redirects to hosts
// that the plan lists.
package guard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// ErrReadOnly is returned for a request that would change something while a
// step only looks.
var ErrReadOnly = errors.New("refused: looking must not write")

// longestWait is the longest Retry-After that is waited for within a request,
// which ends after requestTimeout in any case. A longer one is left to the run.
const longestWait = 20 * time.Second

// patient sends r, and sends it again when the server asks to come back later
// (429 or 503 with Retry-After in seconds, RFC 9110 10.2.3): it has done nothing
// then. It does not outlast r's context.
func (g Guard) patient(r *http.Request) (*http.Response, error) {
	for {
		resp, err := g.Next.RoundTrip(r)
		if err != nil || !repeatable(r) {
			return resp, err
		}
		wait, asked := retryAfter(resp)
		if deadline, ok := r.Context().Deadline(); !asked || ok && time.Until(deadline) <= wait {
			return resp, nil
		}
		_ = resp.Body.Close()
		if err := engine.Pause(r.Context(), wait); err != nil {
			return nil, err
		}
		if r, err = again(r); err != nil {
			return nil, err
		}
	}
}

func retryAfter(resp *http.Response) (time.Duration, bool) {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	wait := time.Duration(seconds) * time.Second
	return wait, err == nil && seconds > 0 && wait <= longestWait
}

// A Guard allows reads, writes of contexts that allow them at this moment, and the
// one write that a context names: see AllowWrite. It keeps answers of a cluster of servers
// consistent, and follows redirects to hosts that the plan lists.
type Guard struct {
	Next       http.RoundTripper
	Replicas   *Replicas // nil keeps nothing
	RedirectTo []string  // base URLs that get a request, with its token, when an answer leads there
	Outside    bool      // reached by an address
	Reconnect  func()    // closes the idle connections; nil for a server that is one
}

// AllowWrite returns a context in which the Guard allows a write to path, so that
// Inspect can log in.
func AllowWrite(ctx context.Context, path string) context.Context {
	return context.WithValue(ctx, allowedWrite{}, "/v1/"+path)
}

type allowedWrite struct{}

// RoundTrip refuses with ErrReadOnly before anything is sent. An answer that points
// elsewhere is an error, unless the plan lists that host: following it hands the token
// over.
func (g Guard) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, "LIST":
	default:
		if r.Context().Value(allowedWrite{}) == r.URL.Path {
			break
		}
		if !engine.WritesAllowed(r.Context()) {
			return nil, engine.Permanent(fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, ErrReadOnly))
		}
		if err := engine.WriteCheck(r.Context()); err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
		}
	}
	resp, err := g.consistent(r)
	if err == nil && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		return g.follow(r, resp)
	}
	return resp, err
}
