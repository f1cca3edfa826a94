package disrupt

import (
	"context"
	"errors"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

// unsealPause is the time between two requests to a Vault that does not answer yet.
// There is nothing to watch: its pod only shows that it runs.
const unsealPause = 250 * time.Millisecond

// unsealing is the edit that vaultUnseal makes as well.
func unsealing() engine.Edit {
	return engine.Edit{Path: "sys/seal", Want: "unsealed", Note: "when Vault has come back"}
}

// Unsealing returns a function that unseals Vault with the keys as soon as it
// answers. It does nothing to a Vault that unseals itself.
func Unsealing(env *engine.Env, server vaultkit.Server, keys *custody.Keys) func(context.Context) error {
	return func(ctx context.Context) error {
		client, err := vaultkit.ConnectServer(ctx, env, server)
		if err != nil {
			return err
		}
		for {
			err = unsealOnce(ctx, env, client, keys)
			if err == nil || errors.Is(err, engine.ErrPermanent) {
				return err
			}
			if ended := engine.Pause(ctx, unsealPause); ended != nil {
				return errors.Join(err, ended)
			}
		}
	}
}

func unsealOnce(ctx context.Context, env *engine.Env, client *vaultkit.Client, keys *custody.Keys) error {
	status, err := client.SealStatus(ctx)
	if err != nil {
		return err
	}
	if !status.Sealed || status.Type != vaultkit.Shamir && status.Initialized {
		return nil
	}
	answer, err := keys.Unsealing(ctx, env, status)
	if err != nil {
		return err
	}
	e := unsealing()
	e.Have = "sealed"
	e.Apply = func(ctx context.Context) error { return keys.Unseal(ctx, client, answer.Distinct()) }
	return env.Apply(ctx, e)
}
