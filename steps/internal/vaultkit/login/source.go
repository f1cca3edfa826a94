package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// errNotYet is the error of a login of which a part does not exist yet.
var errNotYet = errors.New("is not possible yet")

// A source logs in once for all steps of a run and keeps the token. A token that another
// one has replaced is revoked as soon as no request carries it.
type source struct {
	login  *Spec
	server vaultkit.Server
	vault  *vaultkit.Client // without a token, of the step that came first
	mutex  chan struct{}    // of capacity 1, so that waiting for a login ends with a context; guards warned
	warned bool

	held sync.Mutex // guards the fields below and those of the tokens; no request is made under it
	have *granted   // nil before the first login
	old  []*granted // replaced, and still carried by a request
}

// A granted is the token of a login.
type granted struct {
	secret  engine.Secret
	renew   time.Time // when to log in again
	ends    time.Time // zero for never
	leased  bool      // Vault keeps a lease of it until it is revoked
	refused bool      // Vault answered 403 to a request with it
	uses    int       // requests that carry it at the moment
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

// Token returns the token of the login, for one request.
func (t tokens) Token(ctx context.Context) (engine.Secret, error) {
	g, err := t.granted(ctx, t.env, 1)
	if err != nil {
		return engine.Secret{}, err
	}
	return g.secret, nil
}

// Done makes the next request log in again after a refusal, in case the token was
// revoked, and revokes a token that was replaced.
func (t tokens) Done(ctx context.Context, token engine.Secret, refused bool) {
	t.held.Lock()
	over := t.release(token, refused)
	t.held.Unlock()
	t.drop(ctx, t.env, over)
}

// String names the login.
func (t tokens) String() string { return t.login.String() }

// release takes note that a request with the token is over, and returns the token if it
// was replaced and no request carries it any more.
func (s *source) release(token engine.Secret, refused bool) *granted {
	if s.have.secret.Equal(token) {
		s.have.uses--
		s.have.refused = s.have.refused || refused
		return nil
	}
	n := slices.IndexFunc(s.old, func(g *granted) bool { return g.secret.Equal(token) })
	g := s.old[n]
	g.uses--
	g.refused = g.refused || refused
	if g.uses > 0 {
		return nil
	}
	s.old = slices.Delete(s.old, n, n+1)
	return g
}

// granted returns a token with at least a third of its life left, and logs in if there is
// none. uses is how many requests are going to carry it.
func (s *source) granted(ctx context.Context, env *engine.Env, uses int) (*granted, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.unlock()
	if g := s.good(env.Now(), uses); g != nil {
		return g, nil
	}
	next, err := s.logIn(ctx, env)
	if err != nil {
		return nil, err
	}
	next.uses = uses
	s.drop(ctx, env, s.replace(next))
	return next, nil
}

// good returns the token if it can be used at the time now, else nil.
func (s *source) good(now time.Time, uses int) *granted {
	s.held.Lock()
	defer s.held.Unlock()
	if s.have == nil || s.have.refused || !now.Before(s.have.renew) {
		return nil
	}
	s.have.uses += uses
	return s.have
}

// replace keeps the next token, and returns the one before if no request carries it.
func (s *source) replace(next *granted) (over *granted) {
	s.held.Lock()
	defer s.held.Unlock()
	switch {
	case s.have == nil:
	case s.have.uses == 0:
		over = s.have
	default:
		s.old = append(s.old, s.have)
	}
	s.have = next
	return over
}

// drop revokes a token that was replaced; nil is none.
func (s *source) drop(ctx context.Context, env *engine.Env, g *granted) {
	if g == nil {
		return
	}
	if err := s.revoke(context.WithoutCancel(ctx), g, env.Now()); err != nil {
		env.Warnf("%s: the token before this one is not revoked, and lives until it ends: %v", s.login, err)
	}
}

// revokeTime bounds the revocation of a token.
const revokeTime = 10 * time.Second

// revoke revokes the token if Vault keeps a lease of it that has not ended at the time
// now. A token without a lease cannot be revoked and expires; one that Vault refused
// before, and now again, is gone.
func (s *source) revoke(ctx context.Context, g *granted, now time.Time) error {
	if !g.leased || !g.ends.IsZero() && !now.Before(g.ends) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, revokeTime)
	defer cancel()
	err := s.login.in(s.vault).WithToken(g.secret).LogOut(ctx)
	if g.refused && vaultkit.StatusOf(err) == http.StatusForbidden {
		return nil
	}
	return err
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
func (s *source) logIn(ctx context.Context, env *engine.Env) (*granted, error) {
	body, err := s.login.credential(ctx, env)
	switch {
	case errors.Is(err, errNotYet):
		return nil, fmt.Errorf("%s %w", s.login, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", s.login, err)
	}
	client, err := vaultkit.ConnectServer(ctx, env, s.server)
	if err != nil {
		return nil, err
	}
	grant, err := s.login.in(client).Authenticate(ctx, s.login.At(), body)
	if err != nil {
		return nil, s.login.refused(err, body, env.Now())
	}
	env.Conceal(grant.Token)
	out := &granted{secret: grant.Token, leased: grant.Leased, renew: env.Now().Add(never)}
	if grant.TTL > 0 {
		out.renew, out.ends = env.Now().Add(grant.TTL*2/3), env.Now().Add(grant.TTL)
	}
	return out, nil
}

// never is when the token of a login is renewed that has no end.
const never = 100 * 365 * 24 * time.Hour

// Close revokes the tokens of which Vault keeps a lease.
func (s *source) Close() error {
	s.held.Lock()
	defer s.held.Unlock()
	var errs []error
	for _, g := range append(s.old, s.have) {
		if g != nil {
			errs = append(errs, s.revoke(context.Background(), g, time.Now()))
		}
	}
	return errors.Join(errs...)
}
