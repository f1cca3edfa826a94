package assertrotation

import (
	"context"
	"errors"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
)

// knock is how often a Vault that does not answer yet is asked. There is nothing
// to watch: its pod says no more than that it runs.
const knock = 250 * time.Millisecond

// unseal returns what opens Vault with the keys of during, once it answers. A
// Vault that opens itself is left to that.
func (s *Spec) unseal(env *engine.Env) func(context.Context) error {
	return func(ctx context.Context) error {
		client, err := vaultkit.ConnectServer(ctx, env, s.Vault.Server)
		if err != nil {
			return err
		}
		for {
			err = s.open(ctx, env, client)
			if err == nil || errors.Is(err, engine.ErrPermanent) {
				return err
			}
			timer := time.NewTimer(knock)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return errors.Join(err, context.Cause(ctx))
			}
		}
	}
}

func (s *Spec) open(ctx context.Context, env *engine.Env, client *vaultkit.Client) error {
	status, err := client.SealStatus(ctx)
	if err != nil {
		return err
	}
	if !status.Sealed || status.Type != vaultkit.Shamir && status.Initialized {
		return nil
	}
	answer, err := s.During.Keys.Unsealing(ctx, env, status)
	if err != nil {
		return err
	}
	e := unsealing()
	e.Have = "sealed"
	e.Apply = func(ctx context.Context) error { return s.During.Keys.Unseal(ctx, client, answer.Distinct()) }
	return env.Apply(ctx, e)
}
