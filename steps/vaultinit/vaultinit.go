// Package vaultinit initialises Vault and keeps what it says.
//
// # What it looks at
//
// Whether Vault is initialised, with how many key shares, and whether the sinks
// of the plan hold its keys. Neither needs a token or an unsealed Vault.
//
// # What it changes
//
//   - Initialises Vault. Before that, every sink is proven empty and writable;
//     after it, the answer is stored in every sink and read back before anything
//     else happens.
//   - Stores the keys in a sink of the plan that lacks them, when another has
//     them.
//
// # The answer that cannot be asked for twice
//
// Vault says its keys once. If a sink fails just then, the others keep them; if
// all fail, they go to an emergency file beside the key file (mode 0600), from
// which the next run moves them to the sinks. What remains is the time between
// Vault's answer and the moment the file is durable, a few milliseconds: if the
// process dies in it, Vault is initialised and nobody has its keys. The next run
// says so. Nothing is lost then but the Vault itself, which is still empty.
//
// # The end of the root token
//
// With rootToken: revoke the plan gets one more step, ID.rootToken, which runs
// when every other step is done and none has failed. It asks Vault about the
// root token that a sink holds, or that Vault said in this run. One that works is revoked: first the login of
// the connection is tried, and that its policies exist, so that nobody is locked
// out; then the token revokes itself; then Vault has to answer 403 to it, which
// goes on record as a denial. Only then it is taken out of the sinks, each at
// once, everything else in them untouched. A run that was cut off in between
// leaves a dead token in a sink; the next one finds that out and takes it away.
//
// Revoking a token also revokes what it made with a lease, and the tokens it
// made. The kinds of ztplan make neither with it.
//
// A root token is needed again for what the login may not do, such as changing
// its own policies. Whoever holds enough shares makes one (vault operator
// generate-root) and puts it into the key file as root_token: the next run uses
// it for the step that makes the login, and revokes it at its end.
//
// # What it refuses
//
//   - Initialised, and no sink has the keys: they are elsewhere, or the volume
//     of an earlier installation was taken up again (removing the chart keeps
//     the claim data-vault-0). It never initialises anew: that is impossible
//     without destroying the data.
//   - Not initialised, and a sink has keys: those of another Vault.
//   - A number of shares or a threshold other than the plan's: that is a rekey.
//   - A key file that others may read, or that git would commit.
//
// Whether the keys in a sink are those of this Vault shows when they are used:
// see the kind vaultUnseal.
package vaultinit

import (
	"context"
	"errors"
	"fmt"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

const name = "vaultInit"

// Kind is vaultInit.
var Kind = engine.NewKind(name, engine.DefaultPolicy(), newSpec)

func newSpec() *Spec {
	return &Spec{Vault: vaultkit.Entrance{Server: vaultkit.DefaultServer()}, Shares: 5, Threshold: 3, RootToken: keep}
}

// Spec is how a plan wants Vault to be initialised.
type Spec struct {
	// Vault is where Vault is. Usually given once, in the plan's connections.
	Vault vaultkit.Entrance `yaml:"vault"`
	// Shares is the number of shares that the unseal key is split into. When
	// Vault unseals itself (auto-unseal), it counts the shares of the recovery
	// key.
	Shares int `yaml:"shares" check:"min=1,max=255"`
	// Threshold is how many shares are needed together.
	Threshold int `yaml:"threshold" check:"min=1,max=255"`
	// Keys says where the shares and the root token are kept.
	Keys custody.Keys `yaml:"keys"`
	// RootToken says what becomes of the root token: keep leaves it in the sinks;
	// revoke revokes it when every other step of the plan is done, proves that
	// Vault refuses it, and takes it out of the sinks. That needs vault.login:
	// later runs are let in by it.
	RootToken string `yaml:"rootToken" check:"oneof=keep|revoke"`
}

// Outputs are what later steps need.
type Outputs struct {
	// RootToken may do everything. It is empty when it was revoked, or removed
	// from the sink.
	RootToken engine.Secret `yaml:"rootToken"`
	// Keys names the sinks that hold the shares, for a reader.
	Keys string `yaml:"keys"`
	// Shares is the number of shares that Vault has.
	Shares int `yaml:"shares"`
	// Threshold is how many shares Vault needs.
	Threshold int `yaml:"threshold"`
}

// Validate checks what types and tags cannot say.
func (s *Spec) Validate(p *engine.Problems) {
	s.Vault.Validate(p, "vault")
	s.Keys.Validate(p, "keys")
	if s.RootToken == revoke && s.Vault.Login == nil {
		p.AddProblem(engine.Problem{
			Field:   "rootToken",
			Message: "without vault.login nobody could change this Vault any more",
			Hint:    "set connections.vault.login, and let a k8sAuth step make its role; or write rootToken: keep",
		})
	}
	switch {
	case s.Threshold > s.Shares:
		p.Add("threshold", "%d shares cannot be had of %d", s.Threshold, s.Shares)
	case s.Shares > 1 && s.Threshold == 1:
		p.AddProblem(engine.Problem{
			Field:   "threshold",
			Message: "1 of several shares would unseal: Vault refuses that",
			Hint:    "use 1 share, or a threshold of at least 2",
		})
	}
}

// Inspect compares Vault and the sinks with s.
func (s *Spec) Inspect(ctx context.Context, env *engine.Env) (Outputs, []engine.Edit, error) {
	out := Outputs{Keys: s.Keys.String(), Shares: s.Shares, Threshold: s.Threshold}
	c, err := vaultkit.ConnectServer(ctx, env, s.Vault.Server)
	if err != nil {
		return out, nil, err
	}
	status, err := c.SealStatus(ctx)
	if err != nil {
		return out, nil, err
	}
	answer, sinks, err := s.Keys.Look(ctx, env)
	if err != nil {
		return out, nil, err
	}
	if !status.Initialized {
		edit, err := s.initialise(env, c, status.Type, answer, sinks)
		if err != nil {
			return out, nil, err
		}
		return out, []engine.Edit{edit}, nil
	}
	emergency := s.Keys.Emergency(env)
	if answer == nil {
		if answer, err = emergency.Load(ctx); err != nil {
			return out, nil, err
		}
		if answer == nil {
			return out, nil, s.lost(emergency)
		}
		env.Conceal(answer.Secrets()...)
	}
	if err := s.sameNumbers(status, answer); err != nil {
		return out, nil, err
	}
	out.RootToken = answer.RootToken
	return out, s.spread(answer, sinks, emergency), nil
}

// lost is the error of an initialised Vault whose keys are not where the plan
// says.
func (s *Spec) lost(emergency fmt.Stringer) error {
	return engine.WithHint(
		engine.Permanent(fmt.Errorf("vault is initialised, and %s holds no keys (nor does %s)", s.Keys, emergency)),
		"if the keys are elsewhere, put them there, in the form of vault operator init -format=json; "+
			"if this is a new installation, it took up the volume of an earlier one: with the old keys gone its data cannot be read, "+
			"so remove the release, delete the PersistentVolumeClaim data-vault-0, and run again")
}

// sameNumbers refuses a plan that asks for other numbers than Vault has.
func (s *Spec) sameNumbers(status *vaultkit.SealStatus, answer *custody.Answer) error {
	n, t := status.N, status.T
	if status.Type != vaultkit.Shamir {
		n, t = answer.N, answer.Threshold
	}
	if n == s.Shares && t == s.Threshold || n == 0 {
		return nil
	}
	return engine.WithHint(
		engine.Permanent(fmt.Errorf("vault has %d shares with a threshold of %d, and the plan asks for %d and %d", n, t, s.Shares, s.Threshold)),
		fmt.Sprintf("set shares: %d and threshold: %d, or rekey Vault (vault operator rekey) and store the new shares", n, t))
}

// spread returns the edits that store the answer where it is missing.
func (s *Spec) spread(answer *custody.Answer, sinks []custody.Holding, emergency custody.Emergency) []engine.Edit {
	var edits []engine.Edit
	have := 0
	for _, h := range sinks {
		if h.Answer != nil {
			have++
			continue
		}
		edits = append(edits, engine.Edit{
			Path: "keys/" + h.String(),
			Want: engine.NewSecret("shares and root token"),
			Note: "from where they are already",
			Apply: func(ctx context.Context) error {
				if err := h.Prove(ctx); err != nil {
					return err
				}
				if err := h.Store(ctx, answer); err != nil {
					return err
				}
				if have++; have == len(sinks) {
					return emergency.Discard()
				}
				return nil
			},
		})
	}
	return edits
}

// initialise returns the edit that initialises Vault.
func (s *Spec) initialise(env *engine.Env, c *vaultkit.Client, seal string, held *custody.Answer, sinks []custody.Holding) (engine.Edit, error) {
	if held != nil {
		return engine.Edit{}, engine.WithHint(
			engine.Permanent(fmt.Errorf("vault is not initialised, but %s holds keys: they belong to another Vault", s.Keys)),
			"move them away, but keep them while that Vault or a copy of its data exists")
	}
	return engine.Edit{
		Path: "sys/init",
		Want: map[string]any{"shares": s.Shares, "threshold": s.Threshold, "keys": s.Keys.String()},
		Apply: func(ctx context.Context) error {
			for _, h := range sinks {
				if err := h.Prove(ctx); err != nil {
					return err
				}
			}
			learned, err := s.learned(ctx, env)
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			// From here on nobody may cut it short: the answer comes once.
			ctx = context.WithoutCancel(ctx)
			said, err := c.Init(ctx, seal, s.Shares, s.Threshold)
			if err != nil {
				return err
			}
			answer := custody.NewAnswer(said, s.Shares, s.Threshold)
			env.Conceal(answer.Secrets()...)
			learned.set(answer.RootToken)
			return s.keep(ctx, env, answer, sinks)
		},
	}, nil
}

// keep stores the answer in the sinks, and somewhere at all costs.
func (s *Spec) keep(ctx context.Context, env *engine.Env, answer *custody.Answer, sinks []custody.Holding) error {
	stored, err := custody.StoreAll(ctx, sinks, answer)
	if stored {
		return err
	}
	emergency := s.Keys.Emergency(env)
	if lost := emergency.Store(ctx, answer); lost != nil {
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("vault is initialised, and its keys could not be stored anywhere: %w", errors.Join(err, lost))),
			"nobody has the keys of this Vault, which is still empty: delete its data (the PersistentVolumeClaim data-vault-0 and the pod) and run again")
	}
	return engine.WithHint(
		engine.Permanent(fmt.Errorf("the keys could not be stored and are in %s: %w", emergency, err)),
		"make room for them and run again: the next run moves them where they belong")
}
