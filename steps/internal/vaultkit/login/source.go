package login

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// errNotYet is why a login is not possible yet: something of it does not exist.
var errNotYet = errors.New("is not possible yet")

// A source logs in once for all steps of a run and keeps the token.
type source struct {
	login  *Spec
	server vaultkit.Server
	vault  *vaultkit.Client // without a token, of the step that came first
	mutex  chan struct{}    // of capacity 1, so that waiting for it ends with a context; guards the fields below
	have   granted
	warned bool
}

// A granted is the token of a login.
type granted struct {
	secret engine.Secret
	renew  time.Time // when to log in again
	leased bool      // Vault keeps a lease of it until it is revoked
}

func (c Connection) source(ctx context.Context, env *engine.Env) (*source, error) {
	l := c.Login
	key := strings.Join([]string{c.Key(), c.Namespace, l.key()}, "|")
	return engine.Share(ctx, env.Session, key, func(ctx context.Context) (*source, error) {
		client, err := vaultkit.ConnectServer(ctx, env, c.Server)
		if err != nil {
			return nil, err
		}
		return &source{login: l, server: c.Server, vault: client, mutex: make(chan struct{}, 1)}, nil
	})
}

// client returns a client whose requests carry the token of the login.
func (s *source) client(ctx context.Context, env *engine.Env) (*vaultkit.Client, error) {
	client, err := vaultkit.ConnectServer(ctx, env, s.server)
	if err != nil {
		return nil, err
	}
	return client.WithTokens(tokens{s, env}), nil
}

// tokens are those of a login for the requests of a step: a new one when the old one
// is about to expire.
type tokens struct {
	*source
	env *engine.Env
}

// Token returns the token of the login.
func (t tokens) Token(ctx context.Context) (engine.Secret, error) { return t.token(ctx, t.env) }

// Refused makes the next request log in again, in case the token was revoked.
func (t tokens) Refused(ctx context.Context, token engine.Secret) { t.forget(ctx, token) }

// String names the login.
func (t tokens) String() string { return t.login.String() }

// token returns a token with at least a third of its life left, and logs in if
// there is none.
func (s *source) token(ctx context.Context, env *engine.Env) (engine.Secret, error) {
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
func (s *source) forget(ctx context.Context, token engine.Secret) {
	if s.lock(ctx) != nil {
		return
	}
	defer s.unlock()
	if s.have.secret.Equal(token) {
		s.have.renew = time.Time{}
	}
}

// warn warns once in a run.
func (s *source) warn(env *engine.Env, format string, args ...any) {
	s.mutex <- struct{}{}
	defer s.unlock()
	if !s.warned {
		env.Warnf(format, args...)
	}
	s.warned = true
}

func (s *source) lock(ctx context.Context) error {
	select {
	case s.mutex <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *source) unlock() { <-s.mutex }

// logIn gets a token of Vault, which is concealed at once.
func (s *source) logIn(ctx context.Context, env *engine.Env) (granted, error) {
	body, err := s.login.credential(ctx, env)
	switch {
	case errors.Is(err, errNotYet):
		return granted{}, fmt.Errorf("%s %w", s.login, err)
	case err != nil:
		return granted{}, fmt.Errorf("%s: %w", s.login, err)
	}
	client, err := vaultkit.ConnectServer(ctx, env, s.server)
	if err != nil {
		return granted{}, err
	}
	grant, err := s.login.in(client).Authenticate(ctx, s.login.At(), body)
	if err != nil {
		return granted{}, s.login.refused(err, body, env.Now())
	}
	env.Conceal(grant.Token)
	out := granted{secret: grant.Token, leased: grant.Leased, renew: env.Now().Add(grant.TTL * 2 / 3)}
	if grant.TTL == 0 {
		out.renew = env.Now().Add(never)
	}
	return out, nil
}

// never is when the token of a login is renewed that has no end.
const never = 100 * 365 * 24 * time.Hour

// Close revokes the token if Vault keeps a lease of it. A token without a lease
// cannot be revoked and expires.
func (s *source) Close() error {
	s.mutex <- struct{}{}
	defer s.unlock()
	if !s.have.leased {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.login.in(s.vault).WithToken(s.have.secret).LogOut(ctx)
}
