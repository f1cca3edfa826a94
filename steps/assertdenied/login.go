package assertdenied

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// An attacker makes the attempts that Vault must refuse.
type attacker struct {
	*proof
	anonymous *vaultkit.Client // without a token
	cluster   *kubekit.Cluster
	us        *vaultkit.Client // with the token of the legitimate login
	control   string           // result of the legitimate login
	signed    *control         // the legitimate certificate
}

// tryVault logs in and makes the attempts to log in, to have signed and to
// access.
func (p *proof) tryVault(ctx context.Context, attempts []Attempt) error {
	v := &attacker{proof: p}
	var err error
	if v.cluster, err = kubekit.Connect(ctx, v.env); err != nil {
		return err
	}
	if v.anonymous, err = vaultkit.ConnectServer(ctx, v.env, v.spec.Vault.Server); err != nil {
		return err
	}
	grant, err := v.logIn(ctx)
	if err != nil {
		return err
	}
	defer v.logOut(ctx, grant)
	if p.spec.Sign != nil {
		if err := v.signControl(ctx); err != nil {
			return err
		}
	}
	for _, a := range attempts {
		if err := v.attempt(ctx, a); err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
	}
	if slices.ContainsFunc(p.spec.Forbidden(), expires) {
		p.brief, err = v.signBrief(ctx)
	}
	return err
}

func (v *attacker) attempt(ctx context.Context, a Attempt) error {
	switch {
	case a.Login != nil:
		return v.tryLogin(ctx, a)
	case a.Sign != nil:
		return v.trySign(ctx, a)
	}
	return v.tryAccess(ctx, a)
}

// logIn is the legitimate login.
func (v *attacker) logIn(ctx context.Context) (vaultkit.Grant, error) {
	l := v.spec.Login
	v.env.Statusf("logging in as %s", l.ServiceAccount)
	what := fmt.Sprintf("ServiceAccount %s logs in with role %s", l.ServiceAccount, l.Role)
	jwt, err := v.token(ctx, l.ServiceAccount, l.Audience)
	if err != nil {
		return vaultkit.Grant{}, noControl(what, err)
	}
	grant, err := v.anonymous.Authenticate(ctx, l.At(), vaultkit.JWT(l.Role, jwt))
	if err != nil {
		return vaultkit.Grant{}, noControl(what, err)
	}
	v.env.Conceal(grant.Token)
	v.control = describeGrant(grant)
	v.granted(what, v.control)
	v.us, err = login.Connect(ctx, v.env, login.Connection{Server: v.spec.Vault.Server, Token: grant.Token})
	return grant, err
}

func describeGrant(g vaultkit.Grant) string {
	return fmt.Sprintf("a token with policies %s for %s", strings.Join(g.Policies, ", "), engine.Duration(g.TTL))
}

// logOut revokes a token. One without the default policy may not revoke itself
// and lives on for the time that the role gives it.
func (v *attacker) logOut(ctx context.Context, g vaultkit.Grant) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	v.lives(g, v.end(ctx, g))
}

func (v *attacker) end(ctx context.Context, g vaultkit.Grant) error {
	c, err := login.Connect(ctx, v.env, login.Connection{Server: v.spec.Vault.Server, Token: g.Token})
	if err == nil {
		err = c.LogOut(ctx)
	}
	return err
}

// lives warns that a token could not be revoked.
func (v *attacker) lives(g vaultkit.Grant, err error) {
	if err != nil {
		v.env.Logf("a token could not be revoked and lives for up to %s: %v", engine.Duration(g.TTL), err)
	}
}

// tryLogin tries a forbidden login.
func (v *attacker) tryLogin(ctx context.Context, a Attempt) error {
	l := v.spec.Login
	who, audience := l.As(*a.Login)
	remove, err := v.borrow(ctx, who)
	if err != nil {
		return err
	}
	defer remove()
	jwt, err := v.token(ctx, who, audience)
	if err != nil {
		return err
	}
	d := v.try(a, "Vault, "+loginPath(l), fmt.Sprintf("ServiceAccount %s with audience %s was given %s", l.ServiceAccount, l.Audience, v.control))
	refusals, advice := l.refusals(who, audience)
	d.advice = advice
	var reply answer
	if grant, err := v.logInAs(ctx, a, jwt); err == nil {
		defer v.takeBack(ctx, a, grant)
		reply = answer{status: http.StatusOK, text: fmt.Sprintf("ServiceAccount %s with audience %s was given %s", who, audience, describeGrant(grant)), granted: true}
	} else if reply, err = refusal(err); err != nil {
		return err
	}
	d.judge(reply, a.expect(refusals...))
	v.done(d)
	return nil
}

// logInAs makes an attempt. It is an edit, since Vault might grant it.
func (v *attacker) logInAs(ctx context.Context, a Attempt, jwt engine.Secret) (grant vaultkit.Grant, err error) {
	l := v.spec.Login
	err = v.env.Apply(ctx, engine.Edit{
		Path: loginPath(l) + "/" + a.Name, Want: "a token, if it is not refused: " + v.spec.describe(a),
		Apply: func(ctx context.Context) error {
			grant, err = v.anonymous.Login(ctx, l.At(), vaultkit.JWT(l.Role, jwt))
			if err == nil {
				v.env.Conceal(grant.Token)
			}
			return err
		},
	})
	return grant, err
}

// takeBack revokes a token that an attempt was given.
func (v *attacker) takeBack(ctx context.Context, a Attempt, g vaultkit.Grant) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	err := v.env.Apply(ctx, engine.Edit{
		Path: loginPath(v.spec.Login) + "/" + a.Name, Have: describeGrant(g), Want: "revoked",
		Apply: func(ctx context.Context) error { return v.end(ctx, g) },
	})
	v.lives(g, err)
}

// refusals returns Vault's refusal for each difference from the legitimate login:
// with several, Vault gives the first in the order of its checks. advice is the
// hint when the login was granted.
func (l Login) refusals(who login.Account, audience string) (list []evidence.Refusal, advice string) {
	var hints []string
	differs := func(r evidence.Refusal, format, want string) {
		list = append(list, r)
		hints = append(hints, fmt.Sprintf(format, "auth/"+l.At()+"/role/"+l.Role, want))
	}
	if audience != l.Audience {
		differs(wrongAudience, "set audience of %s to %s", l.Audience)
	}
	if who.Name != l.ServiceAccount.Name {
		differs(wrongAccount, "set bound_service_account_names of %s to %s", l.ServiceAccount.Name)
	}
	if who.Namespace != l.ServiceAccount.Namespace {
		differs(wrongNamespace, "set bound_service_account_namespaces of %s to %s, without a namespace selector", l.ServiceAccount.Namespace)
	}
	return list, strings.Join(hints, "; ")
}
