package vaultkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// errNotYet is why a login is not possible yet: something of it does not exist.
var errNotYet = errors.New("is not possible yet")

// A door is one login, shared by the steps of a run.
type door struct {
	login  *Login
	server Server
	next   http.RoundTripper
	turn   chan struct{} // holds one token; who has it may use what is below
	have   pass
	warned bool
}

// A pass is the token that a login gave.
type pass struct {
	token  engine.Secret
	renew  time.Time // when to log in again
	leased bool      // Vault keeps a lease of it until it is revoked
}

func (c Connection) door(ctx context.Context, env *engine.Env) (*door, error) {
	l := c.Login
	key := strings.Join([]string{c.sharedKey(), c.Namespace, l.path(), l.Role, l.ServiceAccount.Namespace, l.ServiceAccount.Name, l.For()}, "|")
	return engine.Share(ctx, env.Session, key, func(ctx context.Context) (*door, error) {
		w, err := c.wire(ctx, env)
		if err != nil {
			return nil, fmt.Errorf("vault (%s): %w", c.where(), err)
		}
		d := &door{login: l, server: c.Server, next: guard{w}, turn: make(chan struct{}, 1)}
		d.turn <- struct{}{}
		return d, nil
	})
}

// visitor returns a client whose requests are let in.
func (d *door) visitor(env *engine.Env) (*Client, error) {
	client, err := d.server.client(authorised{d, env})
	if err != nil {
		return nil, err
	}
	client.login, client.trouble = d.login, d.server.trouble(env)
	return client, nil
}

// token returns a token that will do for a while, and logs in if there is none.
func (d *door) token(ctx context.Context, env *engine.Env) (engine.Secret, error) {
	if err := d.enter(ctx); err != nil {
		return engine.Secret{}, err
	}
	defer d.leave()
	if !d.have.token.IsZero() && env.Now().Before(d.have.renew) {
		return d.have.token, nil
	}
	p, err := d.open(ctx, env)
	if err != nil {
		return engine.Secret{}, err
	}
	d.have = p
	return p.token, nil
}

// forget makes the next request log in again, unless another one did already.
func (d *door) forget(ctx context.Context, token engine.Secret) {
	if d.enter(ctx) != nil {
		return
	}
	defer d.leave()
	if d.have.token.Equal(token) {
		d.have.renew = time.Time{}
	}
}

// warn warns once in a run.
func (d *door) warn(env *engine.Env, format string, args ...any) {
	<-d.turn
	defer d.leave()
	if !d.warned {
		env.Warnf(format, args...)
	}
	d.warned = true
}

func (d *door) enter(ctx context.Context) error {
	select {
	case <-d.turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (d *door) leave() { d.turn <- struct{}{} }

// open logs in: a token of the ServiceAccount, then one of Vault. Both are
// concealed before anything else happens to them.
func (d *door) open(ctx context.Context, env *engine.Env) (pass, error) {
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return pass{}, fmt.Errorf("%s: %w", d.login, err)
	}
	a := d.login.ServiceAccount
	jwt, err := cluster.RequestToken(ctx, a.Namespace, a.Name, d.login.For())
	if apierrors.IsNotFound(err) {
		return pass{}, fmt.Errorf("%s %w: ServiceAccount %s/%s does not exist", d.login, errNotYet, a.Namespace, a.Name)
	}
	if apierrors.IsForbidden(err) {
		err = engine.WithHint(err, fmt.Sprintf("give the user in the kubeconfig the permission to request tokens: create on serviceaccounts/token in namespace %s, for %s", a.Namespace, a.Name))
	}
	if err != nil {
		return pass{}, fmt.Errorf("%s: %w", d.login, err)
	}
	env.Conceal(jwt)
	client, err := d.server.client(d.next)
	if err != nil {
		return pass{}, err
	}
	grant, err := client.Enter(ctx, d.login.At(), d.login.Role, jwt)
	if err != nil {
		return pass{}, d.refused(err)
	}
	env.Conceal(grant.Token)
	return pass{token: grant.Token, leased: grant.Leased, renew: env.Now().Add(grant.TTL * 2 / 3)}, nil
}

// refused tells what is missing from what is wrong.
func (d *door) refused(err error) error {
	for _, missing := range []string{"invalid role name", "could not load backend configuration", "no handler for route", "unsupported path"} {
		if Refused(err, missing) {
			return fmt.Errorf("%s %w: %w", d.login, errNotYet, err)
		}
	}
	if isStatus(err, http.StatusForbidden) {
		err = engine.WithHint(err, "the auth method is not there, or the API server refuses the token that Vault asks it about: "+
			"see vault read auth/"+d.login.At()+"/config, and the role's audience and ServiceAccount; without a login, a root token is needed: "+Regenerate)
	}
	return fmt.Errorf("%s: %w", d.login, err)
}

// Close revokes the token if Vault keeps a lease of it. What is not kept cannot
// be revoked and expires.
func (d *door) Close() error {
	<-d.turn
	defer d.leave()
	if !d.have.leased {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return d.revoke(ctx, d.have.token)
}

func (d *door) revoke(ctx context.Context, token engine.Secret) error {
	client, err := d.server.client(d.next)
	if err != nil {
		return err
	}
	client.token = token
	return client.LogOut(ctx)
}

// authorised puts the token of a login into every request, a new one when the
// old one is about to expire.
type authorised struct {
	door *door
	env  *engine.Env
}

// RoundTrip does not send the same request twice: after a refusal the next one
// logs in again, in case the token was revoked.
func (a authorised) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := a.door.token(r.Context(), a.env)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set(api.AuthHeaderName, token.Reveal())
	resp, err := a.door.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusForbidden {
		a.door.forget(r.Context(), token)
	}
	return resp, err
}

func isStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}
