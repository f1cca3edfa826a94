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

// A loginSource logs in once for all steps of a run and keeps the token.
type loginSource struct {
	login  *Login
	server Server
	env    *engine.Env // of the step that came first
	next   http.RoundTripper
	mutex  chan struct{} // of capacity 1, so that waiting for it ends with a context; guards the fields below
	have   loginToken
	warned bool
}

// A loginToken is the token of a login.
type loginToken struct {
	secret engine.Secret
	renew  time.Time // when to log in again
	leased bool      // Vault keeps a lease of it until it is revoked
}

func (c Connection) loginSource(ctx context.Context, env *engine.Env) (*loginSource, error) {
	l := c.Login
	key := strings.Join([]string{c.sharedKey(), c.Namespace, l.path(), l.Role, l.ServiceAccount.Namespace, l.ServiceAccount.Name, l.For()}, "|")
	return engine.Share(ctx, env.Session, key, func(ctx context.Context) (*loginSource, error) {
		next, err := c.guard(ctx, env)
		if err != nil {
			return nil, err
		}
		return &loginSource{login: l, server: c.Server, env: env, next: next, mutex: make(chan struct{}, 1)}, nil
	})
}

// client returns a client whose requests carry the token of the login.
func (s *loginSource) client(env *engine.Env) (*Client, error) {
	client, err := s.server.client(env, authorised{s, env})
	if err != nil {
		return nil, err
	}
	client.login = s.login
	return client, nil
}

// token returns a token with at least a third of its life left, and logs in if
// there is none.
func (s *loginSource) token(ctx context.Context, env *engine.Env) (engine.Secret, error) {
	if err := s.lock(ctx); err != nil {
		return engine.Secret{}, err
	}
	defer s.unlock()
	if !s.have.secret.IsZero() && env.Now().Before(s.have.renew) {
		return s.have.secret, nil
	}
	p, err := s.logIn(ctx, env)
	if err != nil {
		return engine.Secret{}, err
	}
	s.have = p
	return p.secret, nil
}

// forget makes the next request log in again, unless another one did already.
func (s *loginSource) forget(ctx context.Context, token engine.Secret) {
	if s.lock(ctx) != nil {
		return
	}
	defer s.unlock()
	if s.have.secret.Equal(token) {
		s.have.renew = time.Time{}
	}
}

// warn warns once in a run.
func (s *loginSource) warn(env *engine.Env, format string, args ...any) {
	s.mutex <- struct{}{}
	defer s.unlock()
	if !s.warned {
		env.Warnf(format, args...)
	}
	s.warned = true
}

func (s *loginSource) lock(ctx context.Context) error {
	select {
	case s.mutex <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *loginSource) unlock() { <-s.mutex }

// logIn gets a token of the ServiceAccount, and one of Vault for it. Both are
// concealed at once.
func (s *loginSource) logIn(ctx context.Context, env *engine.Env) (loginToken, error) {
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return loginToken{}, fmt.Errorf("%s: %w", s.login, err)
	}
	a := s.login.ServiceAccount
	jwt, err := cluster.RequestToken(ctx, a.Namespace, a.Name, s.login.For())
	if apierrors.IsNotFound(err) {
		return loginToken{}, fmt.Errorf("%s %w: ServiceAccount %s/%s does not exist", s.login, errNotYet, a.Namespace, a.Name)
	}
	if apierrors.IsForbidden(err) {
		err = engine.WithHint(err, fmt.Sprintf("give the user in the kubeconfig the permission to request tokens: create on serviceaccounts/token in namespace %s, for %s; ztplan rbac PLAN prints the roles that the plan needs", a.Namespace, a.Name))
	}
	if err != nil {
		return loginToken{}, fmt.Errorf("%s: %w", s.login, err)
	}
	env.Conceal(jwt)
	client, err := s.server.client(env, s.next)
	if err != nil {
		return loginToken{}, err
	}
	grant, err := client.Authenticate(ctx, s.login.At(), s.login.Role, jwt)
	if err != nil {
		return loginToken{}, s.refused(err)
	}
	env.Conceal(grant.Token)
	return loginToken{secret: grant.Token, leased: grant.Leased, renew: env.Now().Add(grant.TTL * 2 / 3)}, nil
}

// refused returns errNotYet if a part of the login is missing, and a hint for the
// other refusals.
func (s *loginSource) refused(err error) error {
	for _, missing := range []string{"invalid role name", "could not load backend configuration", "no handler for route", "unsupported path"} {
		if Refused(err, missing) {
			return fmt.Errorf("%s %w: %w", s.login, errNotYet, err)
		}
	}
	if isStatus(err, http.StatusForbidden) {
		err = engine.WithHint(err, "the auth method is not there, or the API server refuses the token that Vault asks it about: "+
			"see vault read auth/"+s.login.At()+"/config, and the role's audience and ServiceAccount; without a login, a root token is needed: "+Regenerate)
	}
	return fmt.Errorf("%s: %w", s.login, err)
}

// Close revokes the token if Vault keeps a lease of it. A token without a lease
// cannot be revoked and expires.
func (s *loginSource) Close() error {
	s.mutex <- struct{}{}
	defer s.unlock()
	if !s.have.leased {
		return nil
	}
	client, err := s.server.client(s.env, s.next)
	if err != nil {
		return err
	}
	client.token = s.have.secret
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return client.LogOut(ctx)
}

// authorised adds the token of a login to every request, a new one when the old one
// is about to expire.
type authorised struct {
	source *loginSource
	env    *engine.Env
}

// RoundTrip does not send the same request twice: after a refusal the next one
// logs in again, in case the token was revoked.
func (a authorised) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := a.source.token(r.Context(), a.env)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set(api.AuthHeaderName, token.Reveal())
	resp, err := a.source.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusForbidden {
		a.source.forget(r.Context(), token)
	}
	return resp, err
}

func isStatus(err error, status int) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == status
}
