package release

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// recordGrace is how long Helm may still record a release after its edit was
// cut off.
const recordGrace = 10 * time.Second

// ConfigFor returns the cluster's configuration for Helm, which passes no contexts on:
// requests end with ctx and may write if ctx may. The guard of the cluster stays below.
func ConfigFor(ctx context.Context, cluster *kubekit.Cluster) *rest.Config {
	config := cluster.Config()
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &bound{next: next, edit: ctx} })
	return config
}

// bound runs requests in a context, that of an edit as a rule.
type bound struct {
	next http.RoundTripper
	edit context.Context
}

func (b *bound) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	stop := func() bool { return true }
	if recordsRelease(req) {
		// Without the deadline of the edit: this is how the release learns
		// that the edit was cut off.
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, recordGrace)
		stop = func() bool { done(); return true }
	} else {
		if b.edit.Err() != nil {
			cancel(nil)
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, context.Cause(b.edit))
		}
		stop = context.AfterFunc(b.edit, func() { cancel(context.Cause(b.edit)) })
	}
	ctx = engine.WritesLike(ctx, b.edit)
	release := func() { stop(); cancel(nil) }
	resp, err := b.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		release()
		return nil, err
	}
	resp.Body = &boundBody{ReadCloser: resp.Body, release: release}
	return resp, nil
}

// WrappedRoundTripper lets client-go find the transport below.
func (b *bound) WrappedRoundTripper() http.RoundTripper { return b.next }

// recordsRelease reports whether the request updates a stored release.
func recordsRelease(req *http.Request) bool {
	return req.Method == http.MethodPut &&
		strings.HasPrefix(req.URL.Path, "/api/v1/namespaces/") &&
		strings.Contains(req.URL.Path, "/secrets/sh.helm.release.v1.")
}

// boundBody keeps the request's context until the body is closed.
type boundBody struct {
	io.ReadCloser
	release func()
}

func (b *boundBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}
