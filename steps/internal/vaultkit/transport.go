package vaultkit

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/guard"
)

// ErrReadOnly is returned for a request that would change something while a
// step only looks.
var ErrReadOnly = guard.ErrReadOnly

// A wire is a connection pool to one Vault server, shared by the steps of a run.
type wire struct {
	*http.Transport
	replicas *guard.Replicas
}

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
		tlsConfig, err := s.tlsConfig(ctx, env)
		if err != nil {
			return wire{}, err
		}
		if s.PlainText() {
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
		return wire{t, new(guard.Replicas)}, nil
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
