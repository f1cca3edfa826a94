package vaultinit

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

// initialise returns the edit that initialises Vault.
func (s *Spec) initialise(env *engine.Env, c *vaultkit.Client, seal string, held *custody.Answer, sinks []custody.Holding) (engine.Edit, error) {
	if held != nil {
		return engine.Edit{}, engine.WithHint(
			engine.Permanent(fmt.Errorf("vault is not initialised, but %s holds keys: they belong to another Vault", s.Keys)),
			"move them away, but keep them while that Vault or a copy of its data exists")
	}
	if err := s.Keys.Emergency(env).Free(); err != nil {
		return engine.Edit{}, err
	}
	lock, err := s.Keys.Lock()
	if err != nil {
		return engine.Edit{}, err
	}
	want := map[string]any{"shares": s.Shares, "threshold": s.Threshold, "keys": s.Keys.String()}
	if readers := lock.Readers(); len(readers) > 0 {
		want["encryptedTo"] = readers
	}
	return engine.Edit{
		Path: "sys/init",
		Want: want,
		Apply: func(ctx context.Context) error {
			for _, h := range sinks {
				if err := h.Prove(ctx); err != nil {
					return err
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			// From here on nobody may cut it short: the answer comes once.
			return s.ask(context.WithoutCancel(ctx), env, c, seal, lock, sinks)
		},
	}, nil
}

// ask initialises Vault and stores what it says.
func (s *Spec) ask(ctx context.Context, env *engine.Env, c *vaultkit.Client, seal string, lock *custody.Lock, sinks []custody.Holding) error {
	learned, err := s.learned(ctx, env)
	if err != nil {
		return err
	}
	pending := s.Keys.Pending(env)
	if err := pending.Begin(env, c.Where()); err != nil {
		// It only explains; where a sink is elsewhere, the directory may be read-only.
		env.Logf("no note of the initialisation is left: %v", err)
	}
	said, err := c.Init(ctx, seal, vaultkit.InitOrder{
		Shares: s.Shares, Threshold: s.Threshold,
		PGPKeys: lock.PGPKeys(), RootTokenPGPKey: lock.RootTokenPGPKey(),
	})
	if err != nil {
		if refused(err) {
			err = errors.Join(err, pending.End())
		}
		return err
	}
	answer, err := lock.Close(said, s.Shares, s.Threshold)
	env.Conceal(custody.NewAnswer(said, s.Shares, s.Threshold).Secrets()...)
	if err != nil {
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("vault is initialised, and its keys were not stored, since they are not encrypted: %w", err)), startOver)
	}
	learned.set(answer.RootToken)
	if err := s.keep(ctx, env, answer, sinks); err != nil {
		return err
	}
	return pending.End()
}

// refused reports whether Vault has certainly not initialised itself.
func refused(err error) bool {
	var e *vaultkit.Error
	return errors.As(err, &e) && e.Status < http.StatusInternalServerError && !errors.Is(err, vaultkit.ErrAnswerLost)
}

// keep stores the answer in the sinks, and somewhere at all costs.
func (s *Spec) keep(ctx context.Context, env *engine.Env, answer *custody.Answer, sinks []custody.Holding) error {
	stored, err := custody.StoreAll(ctx, sinks, answer)
	if len(answer.Sealed) > 0 {
		// Even if nothing was stored: this run can still use what it knows.
		err = errors.Join(err, s.Keys.Remember(ctx, env, answer))
	}
	if stored {
		return err
	}
	emergency := s.Keys.Emergency(env)
	if lost := emergency.Store(ctx, answer); lost != nil {
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("vault is initialised, and its keys could not be stored anywhere: %w", errors.Join(err, lost))), startOver)
	}
	return engine.WithHint(
		engine.Permanent(fmt.Errorf("the keys could not be stored and are in %s: %w", emergency, err)),
		"make room for them and run again: the next run moves them where they belong")
}

// spread returns the edits that store the answer where it is missing.
func (s *Spec) spread(env *engine.Env, answer *custody.Answer, sinks []custody.Holding) []engine.Edit {
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
					return errors.Join(s.Keys.Emergency(env).Discard(), s.Keys.Pending(env).End())
				}
				return nil
			},
		})
	}
	return edits
}

// tidy returns the edits that remove what a run left that was killed after the
// answer was stored. An emergency file with other keys is not ours to remove.
func (s *Spec) tidy(ctx context.Context, env *engine.Env, answer *custody.Answer) []engine.Edit {
	var edits []engine.Edit
	remove := func(name, note string, f func() error) {
		edits = append(edits, engine.Edit{Path: "keys/" + name, Have: "left behind", Note: note, Apply: func(context.Context) error { return f() }})
	}
	emergency, pending := s.Keys.Emergency(env), s.Keys.Pending(env)
	switch left, err := emergency.Load(ctx); {
	case err != nil:
		env.Warnf("%v", err)
	case left != nil && left.SameKeys(answer):
		remove(emergency.String(), "its keys are in "+s.Keys.String(), emergency.Discard)
	case left != nil:
		env.Warnf("%s holds the keys of another Vault", emergency)
	}
	if pending.Read() != nil {
		remove(pending.String(), "the keys are in "+s.Keys.String(), pending.End)
	}
	return edits
}
