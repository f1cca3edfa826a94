package vaultkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/guard"
)

// A Grant is Vault's answer to a login.
type Grant struct {
	Token    engine.Secret
	Policies []string
	TTL      time.Duration
	Leased   bool // Vault keeps the token until it is revoked or expires; a batch token it does not keep
}

// JWT is the body of a login by the methods kubernetes and jwt.
func JWT(role string, jwt engine.Secret) map[string]any {
	return map[string]any{"role": role, "jwt": jwt.Reveal()}
}

// Login logs in to the auth method at auth/MOUNT with the parameters that its
// documentation names. A refusal is an [*Error]; warnings about the role are ignored.
func (c *Client) Login(ctx context.Context, mount string, with map[string]any) (Grant, error) {
	path := "auth/" + mount + "/login"
	secret, err := c.secret(ctx, query{method: http.MethodPut, path: path, body: with})
	if err != nil {
		return Grant{}, c.explain(ctx, "write", path, err)
	}
	if secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "" {
		return Grant{}, engine.Permanent(fmt.Errorf("write %s: vault answered without a token", path))
	}
	return Grant{
		Token:    engine.NewSecret(secret.Auth.ClientToken),
		Policies: secret.Auth.Policies,
		TTL:      time.Duration(secret.Auth.LeaseDuration) * time.Second,
		Leased:   secret.Auth.Accessor != "",
	}, nil
}

// Authenticate is Login in a context that allows no other write, as in Inspect. An
// attempt that Vault must refuse is an edit, and uses Login.
func (c *Client) Authenticate(ctx context.Context, mount string, with map[string]any) (Grant, error) {
	return c.Login(guard.AllowWrite(ctx, "auth/"+mount+"/login"), mount, with)
}

// Help asks for the help about a path. Vault gives it to every valid token with any
// policies (vault/acl.go): an answer shows that the token is alive and that
// something serves the path. It reads nothing.
func (c *Client) Help(ctx context.Context, path string) error {
	err := c.send(ctx, query{method: http.MethodGet, path: path, params: url.Values{"help": {"1"}}}, nil)
	if err == nil {
		return nil
	}
	if nothing(err) {
		var re *api.ResponseError
		errors.As(err, &re)
		return engine.Permanent(&Error{Verb: "help", Path: path, Status: re.StatusCode, Messages: []string{"nothing serves this path"}})
	}
	return c.explain(ctx, "help", path, err)
}
