package vaultkit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/ztplan/ztplan/engine"
)

const (
	// requestTimeout bounds one request. Generating a 4096-bit key takes Vault
	// some seconds.
	requestTimeout = time.Minute

	// maxAnswer bounds an answer. The longest that is asked for is a list of
	// issuers.
	maxAnswer = 32 << 20
)

// A query is one request. The types of its answer are those of package api; the
// client of that package is not used, because making one reads VAULT_*
// environment variables, and fails on those that it cannot read.
type query struct {
	method      string
	path        string // below /v1/
	params      url.Values
	body        any
	contentType string
}

// send sends q once and decodes the answer into out, unless out is nil. An
// answer with an error status is an [*api.ResponseError]; an empty one is an error if
// there is an out.
func (c *Client) send(ctx context.Context, q query, out any) error {
	answer, err := c.ask(ctx, q)
	if err != nil || out == nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	if err := d.Decode(out); err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	return nil
}

// secret sends q once and returns the answer in the form that Vault's engines
// give it, nil for an empty one.
func (c *Client) secret(ctx context.Context, q query) (*api.Secret, error) {
	answer, err := c.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	return api.ParseSecret(bytes.NewReader(answer))
}

func (c *Client) ask(ctx context.Context, q query) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	token, refused := c.token, false
	if c.tokens != nil {
		var err error
		if token, err = c.tokens.Token(ctx); err != nil {
			return nil, err
		}
		defer func() { c.tokens.Done(ctx, token, refused) }()
	}
	namespaced, err := c.inNamespace(ctx, q.path)
	if err != nil {
		return nil, err
	}
	r, err := c.request(ctx, q, token)
	if err != nil {
		return nil, err
	}
	if namespaced {
		r.Header.Set(api.NamespaceHeaderName, c.namespace)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	refused = resp.StatusCode == http.StatusForbidden
	if err := (&api.Response{Response: resp}).Error(); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = engine.Permanent(fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20))
	}
	if err == nil && wrapped(answer) {
		err = engine.WithHint(engine.Permanent(errWrapped), "something between ztplan and Vault, such as an agent or a proxy, adds the header X-Vault-Wrap-TTL: "+
			"turn that off for these requests, or give Vault's own address")
	}
	return answer, err
}

// errWrapped is an answer behind a wrapping token. It is not an empty answer: its
// data are in Vault, and could be taken from there once.
var errWrapped = errors.New("vault wrapped its answer although the request did not ask for that")

func wrapped(answer []byte) bool {
	var has struct {
		WrapInfo *json.RawMessage `json:"wrap_info"`
	}
	return json.Unmarshal(answer, &has) == nil && has.WrapInfo != nil
}

func (c *Client) request(ctx context.Context, q query, token engine.Secret) (*http.Request, error) {
	u := *c.base
	u.Path, u.RawQuery = path.Join("/v1", q.path), q.params.Encode()
	var body io.Reader
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, q.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	r.Header.Set(api.RequestHeaderName, "true")
	if q.contentType != "" {
		r.Header.Set("Content-Type", q.contentType)
	}
	if !token.IsZero() {
		r.Header.Set(api.AuthHeaderName, token.Reveal())
	}
	return r, nil
}
