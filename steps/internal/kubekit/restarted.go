package kubekit

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// settling is how long after a lost connection a refusal may be that of an API server
// that has just started: it answers before it has read its RBAC rules and the keys of
// its issuers.
const settling = 15 * time.Second

// restarted makes a refusal (401, 403) soon after a lost connection one of the moment,
// 503 with Retry-After, which client-go asks again about. Without a lost connection a
// refusal is final at once.
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
	case resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden:
	case time.Since(time.Unix(0, r.lost.Load())) < settling:
		resp.StatusCode, resp.Status = http.StatusServiceUnavailable, "503 Service Unavailable"
		resp.Header.Set("Retry-After", "1")
	}
	return resp, err
}

// WrappedRoundTripper lets client-go find the transport below.
func (r *restarted) WrappedRoundTripper() http.RoundTripper { return r.next }
