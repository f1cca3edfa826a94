package vaultkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// ErrReadOnly is returned for a request that would change something while a
// step only looks.
var ErrReadOnly = errors.New("refused: looking must not write")

// A wire is a connection pool to one Vault server, shared by the steps of a run.
type wire struct{ *http.Transport }

// Close closes the idle connections; the session calls it.
func (w wire) Close() error {
	w.CloseIdleConnections()
	return nil
}

func (s Server) wire(ctx context.Context, env *engine.Env) (wire, error) {
	return s.wireBy(ctx, env, s.Key(), s.dialer)
}

// wireBy is wire to one server of several: key identifies it within the run, and dialer
// connects to it.
func (s Server) wireBy(ctx context.Context, env *engine.Env, key string, dialer func(context.Context, *engine.Env) (dialFunc, error)) (wire, error) {
	return engine.Share(ctx, env.Session, key, func(ctx context.Context) (wire, error) {
		tlsConfig, err := s.tlsConfig()
		if err != nil {
			return wire{}, err
		}
		if s.plainText() {
			env.Warnf("%s is not https: tokens and keys cross the network unencrypted", s.Address)
		}
		dial, err := dialer(ctx, env)
		if err != nil {
			return wire{}, err
		}
		t := &http.Transport{
			DialContext:         dial,
			TLSClientConfig:     tlsConfig,
			TLSHandshakeTimeout: 10 * time.Second,
			// Not HTTP/2, whose transport hides the alert of a server that wants a client
			// certificate (TLS 1.3 sends it after the handshake).
			// A few requests at once; each connection to a service is a stream
			// of its own through the API server.
			MaxConnsPerHost:     4,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
		}
		if s.Address != "" {
			t.Proxy = http.ProxyFromEnvironment
		}
		return wire{t}, nil
	})
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialer returns how connections are made: to the address as usual, or to a pod
// behind the service, not to the address.
func (s Server) dialer(ctx context.Context, env *engine.Env) (dialFunc, error) {
	if s.Address != "" {
		return (&net.Dialer{Timeout: 10 * time.Second}).DialContext, nil
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return cluster.DialService(ctx, s.Service.Namespace, s.Service.Name, s.Service.Port)
	}, nil
}

// longestWait is the longest Retry-After that is waited for within a request,
// which ends after requestTimeout in any case. A longer one is left to the run.
const longestWait = 20 * time.Second

// patient sends r, and sends it again when the server asks to come back later
// (429 or 503 with Retry-After in seconds, RFC 9110 10.2.3): it has done nothing
// then. It does not outlast r's context.
func (g guard) patient(r *http.Request) (*http.Response, error) {
	for {
		resp, err := g.next.RoundTrip(r)
		if err != nil || r.Body != nil && r.GetBody == nil {
			return resp, err
		}
		wait, asked := retryAfter(resp)
		if deadline, ok := r.Context().Deadline(); !asked || ok && time.Until(deadline) <= wait {
			return resp, nil
		}
		_ = resp.Body.Close()
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.Context().Done():
			timer.Stop()
			return nil, context.Cause(r.Context())
		}
		if r = r.Clone(r.Context()); r.GetBody != nil {
			if r.Body, err = r.GetBody(); err != nil {
				return nil, err
			}
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

// A guard allows reads, writes of contexts that allow them at this moment, and the
// one write that a context names: see allowWrite.
type guard struct{ next http.RoundTripper }

// allowWrite returns a context in which the guard allows a write to path, so that
// Inspect can log in.
func allowWrite(ctx context.Context, path string) context.Context {
	return context.WithValue(ctx, allowedWrite{}, "/v1/"+path)
}

type allowedWrite struct{}

// RoundTrip refuses with ErrReadOnly before anything is sent. An answer that
// points elsewhere is an error: following it would hand the token to another
// host.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
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
	resp, err := g.patient(r)
	if err == nil && resp.StatusCode >= 300 && resp.StatusCode < 400 {
		to := resp.Header.Get("Location")
		_ = resp.Body.Close()
		return nil, engine.WithHint(
			fmt.Errorf("%s answered %d, which leads to %s", r.URL.Path, resp.StatusCode, to),
			"a standby of a Vault cluster cannot reach the active node: give the address of the active node, or its service (vault-active)")
	}
	return resp, err
}
