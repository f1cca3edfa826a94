package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// Connect returns a client that uses the connection's login, or its token as long
// as the login is not possible yet.
//
// With a token only, it contacts Kubernetes when Vault is behind a Service, and
// Vault not yet. With a login it logs in, once for all steps of a run; the
// requests of the client log in again when the token expires.
func Connect(ctx context.Context, env *engine.Env, c Connection) (*vaultkit.Client, error) {
	if c.Login == nil {
		return c.withToken(ctx, env)
	}
	s, err := c.source(ctx, env)
	if err != nil {
		return nil, err
	}
	_, err = s.granted(ctx, env, 0)
	switch {
	case err == nil:
		return s.client(ctx, env)
	case errors.Is(err, errNotYet) && !c.HasToken():
		return nil, vaultkit.Refusal("the step that makes the login needs a root token: "+vaultkit.Regenerate,
			"vault (%s): %w, and there is no token to bootstrap with", c.Where(), err)
	case errors.Is(err, errNotYet):
		env.Logf("%v; the token bootstraps", err)
		return c.withToken(ctx, env)
	case (vaultkit.StatusOf(err) == http.StatusForbidden || apierrors.IsForbidden(err)) && c.HasToken():
		return c.despite(ctx, env, s, err)
	}
	return nil, err
}

// Bootstrap returns a client for the step that makes the connection's login. It
// uses the token if that works: a login that may change its own policies has no
// limit. Without a working token it uses the login, which is enough for Inspect.
func Bootstrap(ctx context.Context, env *engine.Env, c Connection) (*vaultkit.Client, error) {
	if c.Login == nil || !c.HasToken() {
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
	c.Token, c.TokenFile = engine.Secret{}, engine.File{}
	return Connect(ctx, env, c)
}

func (c Connection) withToken(ctx context.Context, env *engine.Env) (*vaultkit.Client, error) {
	token, err := secretOf(env, c.Token, c.TokenFile, true)
	if err != nil {
		return nil, fmt.Errorf("the token of vault (%s): %w", c.Where(), err)
	}
	if token.IsZero() {
		return nil, engine.WithHint(
			engine.Permanent(fmt.Errorf("vault (%s): no token is given", c.Where())),
			"set connections.vault.token, for example to ${steps.init.rootToken}; if it is encrypted, "+
				"name an identity that can decrypt it in keys.identities of the vaultInit step; if it was revoked, set connections.vault.login as well, or "+vaultkit.Regenerate)
	}
	client, err := vaultkit.ConnectServer(ctx, env, c.Server)
	if err != nil {
		return nil, err
	}
	return client.WithToken(token), nil
}

// despite uses the token although the login was refused, by Vault or by the API
// server. It warns, unless there is no auth method yet: Vault answers that with the
// same 403.
func (c Connection) despite(ctx context.Context, env *engine.Env, s *source, refused error) (*vaultkit.Client, error) {
	client, err := c.withToken(ctx, env)
	if err != nil {
		return nil, err
	}
	mounts, err := client.Read(ctx, string(vaultkit.Auth))
	if err != nil {
		return nil, errors.Join(refused, err)
	}
	if apierrors.IsForbidden(refused) || mounts[c.Login.At()+"/"] != nil {
		s.warn(env, "%v; the token given to bootstrap is used instead", refused)
	}
	return client, nil
}

// Try logs in anew and returns the description of the login's token, which is used
// for nothing else. An entrance without a login is a permanent error.
func Try(ctx context.Context, env *engine.Env, e Entrance) (*vaultkit.Self, error) {
	if e.Login == nil {
		return nil, engine.Permanent(errors.New("no login is given"))
	}
	fresh := *env
	fresh.Session = new(engine.Session)
	defer func() { _ = fresh.Session.Close() }()
	client, err := Connect(ctx, &fresh, Connection{Server: e.Server, Login: e.Login})
	if err != nil {
		return nil, err
	}
	who, err := client.LookupSelf(ctx)
	if err == nil && who == nil {
		err = fmt.Errorf("%s: vault does not know the token that it gave", e.Login)
	}
	return who, err
}
