package vaultinit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// Values of Spec.RootToken.
const (
	keep   = "keep"
	revoke = "revoke"
)

// Closing asks for the step that revokes the root token.
func (s *Spec) Closing() (input string, kind *engine.Kind) {
	if s.RootToken != revoke {
		return "rootToken", nil
	}
	return "rootToken", engine.NewKind(name, engine.DefaultPolicy(), func() *revocation { return &revocation{*newSpec()} })
}

// validateRevoke reports a plan that could not revoke the root token, or whose
// later runs would not be let in.
func (s *Spec) validateRevoke(p *engine.Problems) {
	if s.Vault.Login == nil {
		p.AddProblem(engine.Problem{
			Field:   "rootToken",
			Message: "without vault.login this Vault could not be changed any more",
			Hint:    "set connections.vault.login, and let a k8sAuth step make its role; or write rootToken: keep",
		})
	}
	if r := s.Keys.RootToken; r != nil && !r.PGP.IsZero() {
		p.AddProblem(engine.Problem{
			Field:   "rootToken",
			Message: "Vault itself encrypts the root token with PGP, so that no run has it to revoke it",
			Hint:    "encrypt it with age (keys.rootToken.age), or write rootToken: keep and let its custodian revoke it",
		})
	}
}

// learnedToken holds the root token that Vault gave during this run, nil if it gave
// none. A sink may keep it in a form that only its custodian reads, so that a run
// can revoke it only from here.
func (s *Spec) learnedToken(ctx context.Context, env *engine.Env) (*atomic.Pointer[engine.Secret], error) {
	return engine.Share(ctx, env.Session, fmt.Sprintf("root token %+v", s.Vault.Server),
		func(context.Context) (*atomic.Pointer[engine.Secret], error) {
			return new(atomic.Pointer[engine.Secret]), nil
		})
}

// A revocation is the closing step: the root token is dead and in no sink.
type revocation struct {
	Spec `yaml:",inline"`
}

// Inputs returns the inputs, which are those of the step that asks.
func (r *revocation) Inputs() *Spec { return &r.Spec }

// Inspect asks Vault about every root token that a sink holds, and about the one
// that Vault gave in this run.
func (r *revocation) Inspect(ctx context.Context, env *engine.Env) (struct{}, []engine.Edit, error) {
	none := struct{}{}
	_, sinks, err := r.Keys.Look(ctx, env)
	if err != nil {
		return none, nil, err
	}
	learned, err := r.learnedToken(ctx, env)
	if err != nil {
		return none, nil, err
	}
	var revoked, forgotten []engine.Edit
	known := make(map[string]*rootToken)
	ask := func(token engine.Secret) (*rootToken, error) {
		root := known[token.Reveal()]
		if root != nil {
			return root, nil
		}
		root, err := r.ask(ctx, env, token)
		if err == nil && root.alive != nil {
			revoked = append(revoked, r.revoke(env, root, len(revoked)+1))
		}
		known[token.Reveal()] = root
		return root, err
	}
	for _, h := range sinks {
		if h.Answer == nil || h.Answer.RootToken.IsZero() {
			continue
		}
		root, err := ask(h.Answer.RootToken)
		if err != nil {
			return none, nil, err
		}
		forgotten = append(forgotten, r.forget(env, h, root))
	}
	if token := learned.Load(); token != nil && !token.IsZero() {
		if _, err := ask(*token); err != nil {
			return none, nil, err
		}
	}
	return none, slices.Concat(revoked, forgotten), nil
}

// A rootToken is a token that a sink holds, and a client that uses it.
type rootToken struct {
	secret   engine.Secret
	client   *vaultkit.Client
	alive    *vaultkit.Self // nil when Vault does not know it
	recorded bool           // the evidence has the refusal
}

func (r *revocation) ask(ctx context.Context, env *engine.Env, token engine.Secret) (*rootToken, error) {
	env.Conceal(token)
	client, err := login.Connect(ctx, env, login.Connection{Server: r.Vault.Server, Token: token})
	if err != nil {
		return nil, err
	}
	alive, err := client.LookupSelf(ctx)
	if err != nil {
		return nil, err
	}
	return &rootToken{secret: token, client: client, alive: alive}, nil
}

// revoke is the edit that ends a token that works.
func (r *revocation) revoke(env *engine.Env, root *rootToken, n int) engine.Edit {
	path := "auth/token/root"
	if n > 1 {
		path = fmt.Sprintf("auth/token/root-%d", n)
	}
	return engine.Edit{
		Path: path,
		Have: "works, with the policies " + strings.Join(root.alive.Policies, ", "),
		Want: "revoked",
		Note: "after " + r.Vault.Login.String() + " has proven itself",
		Apply: func(ctx context.Context) error {
			if err := r.replaced(ctx, env, root); err != nil {
				return engine.WithHint(fmt.Errorf("the root token is not revoked, because nothing could take its place: %w", err),
					"let a k8sAuth step make the role and its policies, or set rootToken: keep")
			}
			err := root.client.RevokeSelf(ctx)
			if dead := root.checkRefused(ctx, env); dead != nil {
				return errors.Join(err, dead)
			}
			return nil // with or without an answer: it is dead
		},
	}
}

// replaced makes sure that the login works, now and not from memory, and that
// its token may do something: its policies are there.
func (r *revocation) replaced(ctx context.Context, env *engine.Env, root *rootToken) error {
	who, err := login.Try(ctx, env, r.Vault)
	if err != nil {
		return err
	}
	given := slices.DeleteFunc(slices.Clone(who.Policies), func(p string) bool { return p == "default" })
	if len(given) == 0 {
		return engine.Permanent(fmt.Errorf("%s gives a token without policies", r.Vault.Login))
	}
	for _, p := range given {
		data, err := root.client.Read(ctx, "sys/policies/acl/"+p)
		if err != nil {
			return err
		}
		if vaultkit.Text(data["policy"]) == "" {
			return engine.Permanent(fmt.Errorf("%s gives a token with the policy %s, which does not exist", r.Vault.Login, p))
		}
	}
	env.Logf("%s gives a %s token with the policies %v", r.Vault.Login, who.Type, who.Policies)
	return nil
}

// forget is the edit that takes a dead token out of a sink.
func (r *revocation) forget(env *engine.Env, h custody.Holding, root *rootToken) engine.Edit {
	edit := engine.Edit{
		Path: "keys/" + h.String() + "/root_token",
		Have: root.secret,
		Apply: func(ctx context.Context) error {
			if err := root.checkRefused(ctx, env); err != nil {
				return err
			}
			return h.Forget(context.WithoutCancel(ctx), root.secret)
		},
	}
	if root.alive == nil {
		edit.Note = "vault does not know it any more"
	}
	return edit
}

// checkRefused checks that Vault refuses the token, and records that once.
func (t *rootToken) checkRefused(ctx context.Context, env *engine.Env) error {
	err := t.client.Dead(ctx)
	if err != nil || t.recorded {
		return err
	}
	t.recorded = true
	env.Logf("vault refuses the root token: 403")
	env.Record(evidence.RecordDenial, evidence.Denial{
		What: "the root token", Refused: true, By: "Vault (auth/token/lookup-self)",
		Answer: "403 permission denied", At: env.Now(),
	})
	return nil
}
