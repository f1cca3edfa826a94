package login_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/session"
)

// A visit is a connection to the shared Vault with a login, through a proxy that
// sees its requests.
type visit struct {
	t     *testing.T
	vault *vaulttest.Server
	proxy *vaulttest.Proxy
	login *vaulttest.Login
	env   *engine.Env
	conn  login.Connection
	warns []string
	known []engine.Secret // the concealed secrets
}

func newVisit(t *testing.T) *visit {
	t.Helper()
	world := labtest.Env(t)
	env := *world
	env.Session = new(engine.Session) // of its own, which a test may close
	v := &visit{t: t, vault: vaulttest.Shared(t), env: &env}
	v.proxy = vaulttest.NewProxy(t, v.vault.Address)
	v.login = v.vault.NewLogin(t, world)
	t.Cleanup(func() {
		if err := env.Session.Close(); err != nil {
			t.Errorf("closing the session: %v", err)
		}
	})
	v.conn = login.Connection{
		Server: vaultkit.Server{Address: v.proxy.Address},
		Token:  engine.NewSecret(v.vault.Token), Login: v.login.Spec,
	}
	v.env.Conceal = func(s ...engine.Secret) { v.known = append(v.known, s...) }
	v.env.Warnf = func(format string, args ...any) { v.warns = append(v.warns, format) }
	return v
}

// policies connects while looking, and names its login.
func (v *visit) policies() (string, error) {
	c, err := login.Connect(v.t.Context(), v.env, v.conn)
	if err != nil {
		return "", err
	}
	who, err := c.LookupSelf(v.t.Context())
	if err != nil {
		return "", err
	}
	return strings.Join(who.Policies, " "), nil
}

func (v *visit) wantPolicies(want string) {
	v.t.Helper()
	if got, err := v.policies(); got != want || err != nil {
		v.t.Errorf("let in with the policies %q (%v), want %q", got, err, want)
	}
}

// logins counts the logins that Vault was asked for.
func (v *visit) logins() int {
	n := 0
	for _, r := range v.proxy.Requests() {
		if strings.HasSuffix(r.Path, "/login") {
			n++
		}
	}
	return n
}

// The token is used until the last piece of the login is there; then the login
// takes over, in the same run.
func TestLoginTakesOver(t *testing.T) {
	v := newVisit(t)
	v.wantPolicies("root")
	v.login.MakeAccount()
	v.wantPolicies("root")
	v.login.MakeMethod()
	v.wantPolicies("root")
	v.login.MakeRole("batch", 300)
	v.wantPolicies("default " + v.login.Mount)
	if len(v.warns) > 0 {
		t.Errorf("warned: %q", v.warns)
	}
	c, err := login.Bootstrap(t.Context(), v.env, v.conn)
	if err != nil {
		t.Fatal(err)
	}
	if who, err := c.LookupSelf(t.Context()); err != nil || strings.Join(who.Policies, " ") != "root" {
		t.Errorf("the step that makes the login is let in as %+v, %v", who, err)
	}
}

// Steps share one login, its secrets are concealed, and the guard lets nothing
// else pass while looking.
func TestLoginIsShared(t *testing.T) {
	v := newVisit(t)
	v.login.MakeAll()
	v.conn.Token = engine.Secret{}
	for range 3 {
		v.wantPolicies("default " + v.login.Mount)
	}
	if n := v.logins(); n != 1 {
		t.Errorf("%d logins", n)
	}
	if len(v.known) != 2 || !strings.HasPrefix(v.known[0].Reveal(), "eyJ") || !strings.HasPrefix(v.known[1].Reveal(), "hvb.") {
		t.Errorf("%d secrets were concealed", len(v.known))
	}
	c, err := login.Connect(t.Context(), v.env, v.conn)
	if err != nil {
		t.Fatal(err)
	}
	if mounts, err := c.Read(t.Context(), "sys/mounts"); err != nil || mounts["sys/"] == nil {
		t.Errorf("mounts: %v", err)
	}
	other := *v.conn.Login
	other.Audiences, v.conn.Login = []string{"https://api.invalid"}, &other
	v.wantPolicies("default " + v.login.Mount)
	if n := v.logins(); n != 2 {
		t.Errorf("%d logins, of two audiences", n)
	}
	before := v.proxy.Writes()
	if _, err := c.Write(t.Context(), "sys/mounts/x", map[string]any{"type": "kv"}); !errors.Is(err, vaultkit.ErrReadOnly) {
		t.Errorf("a write while looking: %v", err)
	}
	_, err = c.Write(engine.AllowWrites(t.Context()), "sys/mounts/x", map[string]any{"type": "kv"})
	vaulttest.WantPermanent(t, err, "403", "do not cover this")
	if n := v.proxy.Writes() - before; n != 1 {
		t.Errorf("vault saw %d writes", n)
	}
}

// A batch token is not in Vault's store, so there is nothing to revoke; a
// service token is revoked with the session.
func TestLoginLeavesNothing(t *testing.T) {
	for tokenType, revoked := range map[string]int{"batch": 0, "service": 1} {
		t.Run(tokenType, func(t *testing.T) {
			v := newVisit(t)
			v.login.MakeAccount()
			v.login.MakeMethod()
			v.login.MakeRole(tokenType, 300)
			v.conn.Token = engine.Secret{}
			v.wantPolicies("default " + v.login.Mount)
			if n := v.accessors(); n != revoked {
				t.Errorf("vault keeps %d tokens", n)
			}
			if err := v.env.Session.Close(); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, r := range v.proxy.Requests() {
				if r.Path == "auth/token/revoke-self" {
					n++
				}
			}
			if n != revoked {
				t.Errorf("%d tokens were revoked, want %d", n, revoked)
			}
			if n := v.accessors(); n != 0 {
				t.Errorf("vault still keeps %d tokens", n)
			}
		})
	}
}

// accessors counts the tokens of the login that are in Vault's store.
func (v *visit) accessors() int {
	v.t.Helper()
	list := v.vault.Do(v.t, "LIST", "auth/token/accessors", "")
	n := 0
	for _, a := range list["keys"].([]any) {
		who := v.vault.DoJSON(v.t, "POST", "auth/token/lookup-accessor", map[string]any{"accessor": a})
		if who["path"] == "auth/"+v.login.Mount+"/login" {
			n++
		}
	}
	return n
}

// A token that has lived two thirds of its life is replaced before the next
// request, within a client that is in use.
func TestLoginAgain(t *testing.T) {
	v := newVisit(t)
	v.login.MakeAccount()
	v.login.MakeMethod()
	v.login.MakeRole("batch", 300)
	now := time.Now()
	v.env.Now = func() time.Time { return now }
	c, err := login.Connect(t.Context(), v.env, v.conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after  time.Duration
		logins int
	}{{199 * time.Second, 1}, {2 * time.Second, 2}, {0, 2}, {200 * time.Second, 3}} {
		now = now.Add(step.after)
		if who, err := c.LookupSelf(t.Context()); who == nil || err != nil {
			t.Fatalf("not let in any more: %v", err)
		}
		if n := v.logins(); n != step.logins {
			t.Errorf("%d logins %v later, want %d", n, step.after, step.logins)
		}
	}
}

// A token that another one has replaced is revoked, but not under a request that carries
// it: after two thirds of its life, and after each refusal.
func TestReplacedTokenIsRevoked(t *testing.T) {
	v := newVisit(t)
	v.login.MakeAccount()
	v.login.MakeMethod()
	v.login.MakeRole("service", 300)
	v.conn.Token = engine.Secret{}
	var later atomic.Int64
	v.env.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	c, err := login.Connect(t.Context(), v.env, v.conn)
	if err != nil {
		t.Fatal(err)
	}
	look := func() {
		t.Helper()
		if _, err := c.Read(t.Context(), "sys/mounts"); err != nil {
			t.Error(err)
		}
	}
	keeps := func(want int) {
		t.Helper()
		if n := v.accessors(); n != want {
			t.Errorf("vault keeps %d tokens, want %d", n, want)
		}
	}
	v.proxy.Before(func(r vaulttest.Request) bool { return r.Path == "sys/mounts" }, func() {
		later.Store(int64(201 * time.Second))
		look()
		keeps(2) // the first one carries the request that waits here
	})
	look()
	keeps(1)
	later.Store(int64(402 * time.Second))
	look()
	keeps(1)
	for range 3 {
		if _, err := c.Read(t.Context(), "sys/policies/acl/other"); vaultkit.StatusOf(err) != http.StatusForbidden {
			t.Errorf("error is %v, want a refusal", err)
		}
		keeps(1)
	}
	look()
	keeps(1)
	if n := v.logins(); n != 6 {
		t.Errorf("%d logins, want 3 by the clock and 3 after refusals", n)
	}
	if err := v.env.Session.Close(); err != nil {
		t.Error(err)
	}
	keeps(0)
	if len(v.warns) > 0 {
		t.Errorf("warned: %q", v.warns)
	}
}

// A revoked service token costs one refusal, which another try
// cures.
func TestLoginRevoked(t *testing.T) {
	v := newVisit(t)
	v.login.MakeAccount()
	v.login.MakeMethod()
	v.login.MakeRole("service", 300)
	c, err := login.Connect(t.Context(), v.env, v.conn)
	if err != nil {
		t.Fatal(err)
	}
	v.vault.DoJSON(t, "POST", "auth/token/revoke", map[string]any{"token": v.known[1].Reveal()})
	if _, err := c.Read(t.Context(), "sys/mounts"); err == nil || errors.Is(err, engine.ErrPermanent) {
		t.Errorf("error is %v, want one that another try may cure", err)
	}
	if _, err := c.Read(t.Context(), "sys/mounts"); err != nil {
		t.Error(err)
	}
}

// Without a token the error names it, and the hint how to get one.
func TestNoWayIn(t *testing.T) {
	v := newVisit(t)
	v.conn.Token = engine.Secret{}
	_, err := v.policies()
	vaulttest.WantPermanent(t, err, "ServiceAccount "+v.login.ServiceAccount.Namespace+"/admin does not exist, and there is no token", "generate-root -init")
	v.login.MakeAccount()
	_, err = v.policies()
	vaulttest.WantPermanent(t, err, "vault answered 403", "generate-root -init")
	v.login.MakeMethod()
	_, err = v.policies()
	vaulttest.WantPermanent(t, err, `invalid role name "admin"`, "generate-root -init")
}

// A login that should work and does not is not hidden by the token.
func TestLoginRefused(t *testing.T) {
	v := newVisit(t)
	v.login.MakeAll()
	v.vault.DoJSON(t, "POST", "auth/"+v.login.Mount+"/config", map[string]any{"kubernetes_host": "https://127.0.0.1:1", "disable_local_ca_jwt": true})
	for range 2 {
		v.wantPolicies("root")
	}
	if len(v.warns) != 1 || !strings.Contains(v.warns[0], "is used instead") {
		t.Errorf("warned: %q", v.warns)
	}
	v.conn.Token = engine.Secret{}
	_, err := v.policies()
	vaulttest.WantPermanent(t, err, "the login (role admin of auth/"+v.login.Mount+")", "generate-root -init")
}

// A user who may not request tokens is let in by the token, with a warning, and
// without one gets the name of the missing permission.
func TestMayNotRequestTokens(t *testing.T) {
	v := newVisit(t)
	v.login.MakeAll()
	v.env.Settings = session.Settings{Cluster: session.Cluster{Kubeconfig: v.login.Stranger()}}
	v.wantPolicies("root")
	if len(v.warns) != 1 || !strings.Contains(v.warns[0], "is used instead") {
		t.Errorf("warned: %q", v.warns)
	}
	v.conn.Token = engine.Secret{}
	_, err := v.policies()
	vaulttest.WantPermanent(t, err, `cannot create resource "serviceaccounts/token"`, "the permission to request tokens")
}

// The token that bootstraps is dead: the step that makes the login still looks.
func TestBootstrapWithADeadToken(t *testing.T) {
	v := newVisit(t)
	v.conn.Token = engine.NewSecret("hvs.AAAAAAAAAAAAAAAAAAAAAAAA")
	_, err := login.Bootstrap(t.Context(), v.env, v.conn)
	vaulttest.WantPermanent(t, err, "is not possible yet", "generate-root")
	v.login.MakeAll()
	c, err := login.Bootstrap(t.Context(), v.env, v.conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(t.Context(), "sys/mounts"); err != nil {
		t.Error(err)
	}
	if len(v.warns) == 0 {
		t.Error("nothing is said about the token")
	}
}

// A caller that gives up while another one logs in is not held back.
func TestLoginIsCancelled(t *testing.T) {
	v := newVisit(t)
	v.login.MakeAll()
	ctx, cancel := context.WithCancel(t.Context())
	v.proxy.Before(func(r vaulttest.Request) bool { return strings.HasSuffix(r.Path, "/login") }, cancel)
	if _, err := login.Connect(ctx, v.env, v.conn); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	v.wantPolicies("default " + v.login.Mount)
}
