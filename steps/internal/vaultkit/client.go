package vaultkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/guard"
)

// A Client makes requests to one Vault server.
type Client struct {
	http      *http.Client
	base      *url.URL // scheme and host
	namespace string
	replicas  *guard.Replicas
	token     engine.Secret
	where     string
	tokens    Tokens // of a login, nil for a token
	outside   bool   // reached by an address, so that nothing is known of its pods
	emptied   string // see Server.Emptied
	env       *engine.Env

	// trouble returns the reason why the pods behind a Service do not answer, "" if
	// it is not known, and a hint.
	trouble func(context.Context) (why, hint string)
}

// ConnectServer returns a client without a token, for the requests that need none:
// is Vault initialised, sealed, active?
func ConnectServer(ctx context.Context, env *engine.Env, s Server) (*Client, error) {
	g, err := s.guard(ctx, env)
	if err != nil {
		return nil, err
	}
	return s.client(env, g)
}

// guard returns the guarded connection pool of the run.
func (s Server) guard(ctx context.Context, env *engine.Env) (guard.Guard, error) {
	w, err := s.wire(ctx, env)
	if err != nil {
		return guard.Guard{}, fmt.Errorf("vault (%s): %w", s.Where(), err)
	}
	return s.guarded(w), nil
}

func (s Server) guarded(w wire) guard.Guard {
	g := guard.Guard{Next: w, Replicas: w.replicas, RedirectTo: s.RedirectTo, Outside: s.Address != ""}
	if g.Outside {
		g.Reconnect = w.CloseIdleConnections
	}
	return g
}

func (s Server) client(env *engine.Env, transport guard.Guard) (*Client, error) {
	base, err := url.Parse(s.baseURL())
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("vault: %w", err))
	}
	return &Client{
		// The guard refuses redirects before the client sees them.
		http: &http.Client{Transport: transport},
		base: base, namespace: s.Namespace, replicas: transport.Replicas, where: s.Where(),
		outside: s.Address != "", emptied: s.Emptied(), env: env,
		trouble: func(ctx context.Context) (why, hint string) {
			if s.Address != "" {
				return "", ""
			}
			cluster, ok := kubekit.Connected(env)
			if !ok {
				return "", ""
			}
			return cluster.Trouble(ctx, s.Service.Namespace, s.Service.Name)
		},
	}, nil
}

// InNamespace returns a client like c for another namespace of Vault.
func (c *Client) InNamespace(namespace string) *Client {
	out := *c
	out.namespace = namespace
	return &out
}

// Tokens give each request of a client its token.
type Tokens interface {
	// Token returns the token of the next request, which fails with the error. Without an
	// error, Done follows.
	Token(ctx context.Context) (engine.Secret, error)
	// Done takes note that the request is over. refused means that Vault answered 403.
	Done(ctx context.Context, token engine.Secret, refused bool)
	// String names the login in messages.
	String() string
}

// WithToken returns a client like c whose requests carry a token.
func (c *Client) WithToken(token engine.Secret) *Client {
	out := *c
	out.token, out.tokens = token, nil
	return &out
}

// WithTokens returns a client like c whose requests carry the tokens of a login.
func (c *Client) WithTokens(tokens Tokens) *Client {
	out := *c
	out.token, out.tokens = engine.Secret{}, tokens
	return &out
}

// Where names the server in messages.
func (c *Client) Where() string { return c.where }

// Emptied is [Server.Emptied] of the server.
func (c *Client) Emptied() string { return c.emptied }

// Read returns the data at path, or nil if Vault has none.
// Numbers in it are [json.Number].
func (c *Client) Read(ctx context.Context, path string) (map[string]any, error) {
	return c.read(ctx, path, nil)
}

// ReadIf is Read if the mount of path exists, and returns nil otherwise: Vault
// answers with an error for a path without a mount.
func (c *Client) ReadIf(ctx context.Context, mounted bool, path string) (map[string]any, error) {
	if !mounted {
		return nil, nil
	}
	return c.Read(ctx, path)
}

// List returns the names at path in Vault's order and the details of each. An
// empty list is no error.
func (c *Client) List(ctx context.Context, path string) (names []string, info map[string]map[string]any, err error) {
	data, err := c.read(ctx, path, url.Values{"list": {"true"}})
	if err != nil || data == nil {
		return nil, nil, err
	}
	info = make(map[string]map[string]any)
	if all, ok := data["key_info"].(map[string]any); ok {
		for name, one := range all {
			if m, ok := one.(map[string]any); ok {
				info[name] = m
			}
		}
	}
	return Strings(data["keys"]), info, nil
}

func (c *Client) read(ctx context.Context, path string, params url.Values) (map[string]any, error) {
	secret, err := c.secret(ctx, query{method: http.MethodGet, path: path, params: params})
	if err != nil {
		if nothing(err) {
			return nil, nil
		}
		return nil, c.explain(ctx, "read", path, err)
	}
	if secret == nil {
		return nil, nil
	}
	return secret.Data, nil
}

// nothing reports whether err is Vault's answer for a missing object: 404 without a
// message. A 404 with a message means that nothing is mounted at the path.
func nothing(err error) bool {
	var re *api.ResponseError
	return errors.As(err, &re) && re.StatusCode == http.StatusNotFound && !re.RawError && len(re.Errors) == 0
}

// Write sends data to path and returns the data of the answer, nil for an empty
// one. A warning in the answer is an error of type [*WarningError] unless one of
// allow expects it.
func (c *Client) Write(ctx context.Context, path string, data map[string]any, allow ...Allow) (map[string]any, error) {
	secret, err := c.secret(ctx, query{method: http.MethodPut, path: path, body: data})
	return c.answer(ctx, "write", path, secret, err, allow)
}

// Put is Write for callers that need no answer.
func (c *Client) Put(ctx context.Context, path string, data map[string]any, allow ...Allow) error {
	_, err := c.Write(ctx, path, data, allow...)
	return err
}

// Patch sends the fields to change to path (a JSON merge patch, RFC 7396). A
// warning in the answer is an error.
func (c *Client) Patch(ctx context.Context, path string, data map[string]any) error {
	secret, err := c.secret(ctx, query{method: http.MethodPatch, path: path, body: data, contentType: "application/merge-patch+json"})
	_, err = c.answer(ctx, "patch", path, secret, err, nil)
	return err
}

// Delete removes the object at path. Steps do not delete; tests do.
func (c *Client) Delete(ctx context.Context, path string) error {
	err := c.send(ctx, query{method: http.MethodDelete, path: path}, nil)
	if err != nil && !nothing(err) {
		return c.explain(ctx, "delete", path, err)
	}
	return nil
}

func (c *Client) answer(ctx context.Context, verb, path string, secret *api.Secret, err error, allow []Allow) (map[string]any, error) {
	if err != nil {
		return nil, c.explain(ctx, verb, path, err)
	}
	if secret == nil {
		return nil, nil
	}
	if unexpected := slices.DeleteFunc(slices.Clone(secret.Warnings), func(w string) bool {
		return slices.ContainsFunc(allow, func(a Allow) bool { return a.matches(w) })
	}); len(unexpected) > 0 {
		return secret.Data, engine.WithHint(engine.Permanent(&WarningError{Path: path, Warnings: unexpected}), hintFor(strings.Join(unexpected, "\n")))
	}
	return secret.Data, nil
}

// An Allow is a part of the text of a warning that is expected.
type Allow string

func (a Allow) matches(warning string) bool { return a != "" && strings.Contains(warning, string(a)) }

// AllowAll turns the parts of warnings that a plan lists into Allows.
func AllowAll(parts []string) []Allow {
	out := make([]Allow, len(parts))
	for i, p := range parts {
		out[i] = Allow(p)
	}
	return out
}

// A WarningError is a write that Vault carried out, but not as asked.
type WarningError struct {
	Path     string
	Warnings []string
}

// Warned reports whether err is a [*WarningError]: the write was carried out.
func Warned(err error) bool {
	var w *WarningError
	return errors.As(err, &w)
}

// Error quotes the warnings.
func (e *WarningError) Error() string {
	return fmt.Sprintf("%s: done, but vault warns: %s", e.Path, strings.Join(e.Warnings, "; "))
}

// Strings returns the strings in a list of an answer; nil for anything else.
func Strings(list any) []string {
	switch l := list.(type) {
	case []string:
		return l
	case []any:
		out := make([]string, 0, len(l))
		for _, one := range l {
			if s, ok := one.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// Text returns a string of an answer, or "".
func Text(v any) string {
	s, _ := v.(string)
	return s
}

// Truth returns a bool of an answer, or false.
func Truth(v any) bool {
	b, _ := v.(bool)
	return b
}

// Whole returns a whole number of an answer, or 0.
func Whole(v any) int64 {
	n, _ := v.(json.Number)
	i, _ := n.Int64()
	return i
}
