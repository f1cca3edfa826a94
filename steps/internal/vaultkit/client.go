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
)

// A Client makes requests to one Vault server.
type Client struct {
	http      *http.Client
	base      *url.URL // scheme and host
	namespace string
	token     engine.Secret
	where     string
	login     *Login // what its requests are authenticated by, nil for a token

	// trouble says what keeps the pods behind a Service from answering, "" if
	// nothing is known.
	trouble func(context.Context) string
}

// ConnectServer returns a client without a token, for what Vault answers to
// anybody: whether it is initialised, sealed, active.
func ConnectServer(ctx context.Context, env *engine.Env, s Server) (*Client, error) {
	w, err := s.wire(ctx, env)
	if err != nil {
		return nil, fmt.Errorf("vault (%s): %w", s.where(), err)
	}
	c, err := s.client(guard{w})
	if err == nil {
		c.trouble = s.trouble(env)
	}
	return c, err
}

// trouble asks the cluster that the run is connected to.
func (s Server) trouble(env *engine.Env) func(context.Context) string {
	return func(ctx context.Context) string {
		cluster, ok := kubekit.Connected(env)
		if s.Address != "" || !ok {
			return ""
		}
		return cluster.Trouble(ctx, s.Service.Namespace, s.Service.Name)
	}
}

func (s Server) client(transport http.RoundTripper) (*Client, error) {
	base, err := url.Parse(s.baseURL())
	if err != nil {
		return nil, engine.Permanent(fmt.Errorf("vault: %w", err))
	}
	return &Client{
		// The guard refuses redirects before the client sees them.
		http: &http.Client{Transport: transport},
		base: base, namespace: s.Namespace, where: s.where(),
	}, nil
}

// Where names the server in messages.
func (c *Client) Where() string { return c.where }

// Read returns the data at path, or nil if Vault says that there is nothing.
// Numbers in it are [json.Number].
func (c *Client) Read(ctx context.Context, path string) (map[string]any, error) {
	return c.read(ctx, path, nil)
}

// List returns the names at path in Vault's order and what Vault tells about
// each; nothing at all is not an error.
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

// nothing reports whether err is Vault's answer for what does not exist: 404
// without a message. A 404 with a message means a path that nobody serves.
func nothing(err error) bool {
	var re *api.ResponseError
	return errors.As(err, &re) && re.StatusCode == http.StatusNotFound && !re.RawError && len(re.Errors) == 0
}

// Write sends data to path and returns what Vault answered, nil if nothing. A
// warning in the answer is an error of type [*WarningError] unless one of allow
// says that it is expected.
func (c *Client) Write(ctx context.Context, path string, data map[string]any, allow ...Allow) (map[string]any, error) {
	secret, err := c.secret(ctx, query{method: http.MethodPut, path: path, body: data})
	return c.answer(ctx, "write", path, secret, err, allow)
}

// Patch sends the fields to change to path (a JSON merge patch, RFC 7396) and
// treats warnings as Write does.
func (c *Client) Patch(ctx context.Context, path string, data map[string]any, allow ...Allow) (map[string]any, error) {
	secret, err := c.secret(ctx, query{method: http.MethodPatch, path: path, body: data, contentType: "application/merge-patch+json"})
	return c.answer(ctx, "patch", path, secret, err, allow)
}

// Delete removes what is at path. Steps do not delete; tests do.
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
	n, ok := v.(json.Number)
	if !ok {
		return 0
	}
	i, err := n.Int64()
	if err != nil {
		return 0
	}
	return i
}
