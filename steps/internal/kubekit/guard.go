package kubekit

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// ErrReadOnly refuses a request that could change the cluster: its context belongs to no
// edit. It is permanent, because it is a mistake of the step.
var ErrReadOnly = engine.Permanent(readOnlyError{})

type readOnlyError struct{}

func (readOnlyError) Error() string {
	return "a step must not change the cluster but by its edits"
}

// guard refuses requests that could change the cluster unless their context
// allows writes, and the run's lock does at this moment. See RequestToken for the one exception.
type guard struct{ next http.RoundTripper }

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if !readOnly(req) && !isTokenRequest(req) {
		err := engine.WriteCheck(req.Context())
		if !engine.WritesAllowed(req.Context()) {
			err = ErrReadOnly
		}
		if err != nil {
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
		}
	}
	return g.next.RoundTrip(req)
}

// WrappedRoundTripper lets client-go find the transport below.
func (g *guard) WrappedRoundTripper() http.RoundTripper { return g.next }

// readOnly reports whether the request leaves the cluster as it is.
func readOnly(req *http.Request) bool {
	switch req.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		// A GET that upgrades opens a stream: fine for port-forward and attach
		// to logs, but exec and attach run or steer something in a container.
		path := req.URL.Path
		return !(strings.Contains(path, "/pods/") && (strings.HasSuffix(path, "/exec") || strings.HasSuffix(path, "/attach")))
	}
	if dry := req.URL.Query()["dryRun"]; len(dry) == 1 && dry[0] == "All" {
		return true
	}
	if req.Method != http.MethodPost {
		return false
	}
	last := req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:]
	switch {
	case strings.HasPrefix(req.URL.Path, "/apis/authorization.k8s.io/"):
		return strings.HasSuffix(last, "accessreviews") || last == "selfsubjectrulesreviews"
	case strings.HasPrefix(req.URL.Path, "/apis/authentication.k8s.io/"):
		return last == "selfsubjectreviews"
	case strings.HasPrefix(req.URL.Path, "/api/v1/namespaces/"):
		return last == "portforward"
	}
	return false
}
