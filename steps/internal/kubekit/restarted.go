package kubekit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ztplan/ztplan/steps/internal/kubekit/refusal"
)

// settling is how long after a lost connection a refusal may be that of an API server
// that has just started: it answers before it has read its RBAC rules and the keys of
// its issuers.
const settling = 15 * time.Second

// restarted makes a refusal of the moment one of 503 with Retry-After, which client-go asks
// again about: a 401 or 403 soon after a lost connection, and one by a server that is not
// ready, see [refusal.Unready]. Any other refusal is final at once.
type restarted struct {
	next http.RoundTripper
	lost atomic.Int64 // when a connection was lost, in Unix nanoseconds; 0 for never
}

func (r *restarted) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	switch {
	case err != nil:
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			r.lost.Store(time.Now().UnixNano())
		}
	case r.passes(resp):
		resp.StatusCode, resp.Status = http.StatusServiceUnavailable, "503 Service Unavailable"
		resp.Header.Set("Retry-After", "1")
	}
	return resp, err
}

// passes reports whether the response is a refusal of the moment.
func (r *restarted) passes(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		if time.Since(time.Unix(0, r.lost.Load())) < settling {
			return true
		}
	case http.StatusUnprocessableEntity:
	default:
		return false
	}
	return refusal.Unready(beginning(resp))
}

// maxRefusal bounds what is read of the message of a refusal, in bytes.
const maxRefusal = 16 << 10

// beginning returns the beginning of the body, which stays there to be read. The message of
// a status is plain text in each of its encodings.
func beginning(resp *http.Response) string {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // the caller meets the error again
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), resp.Body), resp.Body}
	return string(text)
}

// WrappedRoundTripper lets client-go find the transport below.
func (r *restarted) WrappedRoundTripper() http.RoundTripper { return r.next }
