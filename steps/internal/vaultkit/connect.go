package vaultkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ztplan/ztplan/engine"
)

// Connect returns a client that uses the connection's login, or its token as long
// as the login is not possible yet.
//
// With a token only, it contacts Kubernetes when Vault is behind a Service, and
// Vault not yet. With a login it logs in, once for all steps of a run; the
// requests of the client log in again when the token expires.
func Connect(ctx context.Context, env *engine.Env, c Connection) (*Client, error) {
	if c.Login == nil {
		return c.withToken(ctx, env)
	}
	source, err := c.loginSource(ctx, env)
	if err != nil {
		return nil, err
	}
	_, err = source.token(ctx, env)
	switch {
	case err == nil:
		return source.client(env)
	case errors.Is(err, errNotYet) && c.Token.IsZero():
		return nil, Refusal("the step that makes the login needs a root token: "+Regenerate,
			"vault (%s): %w, and there is no token to bootstrap with", c.where(), err)
	case errors.Is(err, errNotYet):
		env.Logf("%v; the token bootstraps", err)
		return c.withToken(ctx, env)
	case (isStatus(err, http.StatusForbidden) || apierrors.IsForbidden(err)) && !c.Token.IsZero():
		return c.despite(ctx, env, source, err)
	}
	return nil, err
}

// Bootstrap returns a client for the step that makes the connection's login. It
// uses the token if that works: a login that may change its own policies has no
// limit. Without a working token it uses the login, which is enough for Inspect.
func Bootstrap(ctx context.Context, env *engine.Env, c Connection) (*Client, error) {
	if c.Login == nil || c.Token.IsZero() {
		return Connect(ctx, env, c)
	}
	client, err := c.withToken(ctx, env)
	if err != nil {
		return nil, err
	}
	who, err := client.LookupSelf(ctx)
	switch {
	case err != nil:
		return nil, err
	case who != nil:
		return client, nil
	}
	env.Warnf("vault does not know the token that is given to bootstrap: it is revoked, or another Vault's and this is not the right cluster; trying %s", c.Login)
	c.Token = engine.Secret{}
	return Connect(ctx, env, c)
}

func (c Connection) withToken(ctx context.Context, env *engine.Env) (*Client, error) {
	if c.Token.IsZero() {
		return nil, engine.WithHint(
			engine.Permanent(fmt.Errorf("vault (%s): no token is given", c.where())),
			"set connections.vault.token, for example to ${steps.init.rootToken}; if it is encrypted, "+
				"name an identity that can decrypt it in keys.identities of the vaultInit step; if it was revoked, set connections.vault.login as well, or "+Regenerate)
	}
	client, err := ConnectServer(ctx, env, c.Server)
	if err != nil {
		return nil, err
	}
	client.token = c.Token
	return client, nil
}

// despite uses the token although the login was refused, by Vault or by the API
// server. It warns, unless there is no auth method yet: Vault answers that with the
// same 403.
func (c Connection) despite(ctx context.Context, env *engine.Env, source *loginSource, refused error) (*Client, error) {
	client, err := c.withToken(ctx, env)
	if err != nil {
		return nil, err
	}
	mounts, err := client.Read(ctx, string(Auth))
	if err != nil {
		return nil, errors.Join(refused, err)
	}
	if apierrors.IsForbidden(refused) || mounts[c.Login.At()+"/"] != nil {
		source.warn(env, "%v; the token given to bootstrap is used instead", refused)
	}
	return client, nil
}
