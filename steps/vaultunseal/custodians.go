package vaultunseal

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

// custodians returns the edits for a Vault that this run cannot open alone: one
// that submits the shares that it has, and one that waits for those of others.
func (s *Spec) custodians(ctx context.Context, env *engine.Env, state vaultkit.State, answer *unsealkeys.Answer) []engine.Edit {
	status := state.SealStatus
	absent := slices.DeleteFunc(answer.Custodians(), func(name string) bool { return slices.Contains(answer.Opened, name) })
	wait := engine.Edit{
		Path: state.At("sys/seal"),
		Have: fmt.Sprintf("sealed, %d of %d shares so far; waits for custodians: %s (%s)",
			status.Progress, status.T, strings.Join(absent, ", "), s.Keys),
		Want:  "unsealed",
		Note:  "each decrypts the own share, and submits it: vault operator unseal",
		Await: func(ctx context.Context) error { return changed(ctx, state.Client, status) },
	}
	shares := answer.Distinct()
	submitted := status.Progress > 0 && s.Keys.Marked(ctx, env, "submitted "+status.Nonce)
	if len(shares) == 0 || submitted {
		return []engine.Edit{wait}
	}
	return []engine.Edit{{
		Path:  state.At("sys/unseal"),
		Have:  fmt.Sprintf("%d of %d shares", status.Progress, status.T),
		Want:  "with the shares of " + strings.Join(answer.Opened, ", "),
		Apply: func(ctx context.Context) error { return s.contribute(ctx, env, state.Client, shares) },
	}, wait}
}

// contribute submits shares that are not enough, unless others have submitted
// theirs.
func (s *Spec) contribute(ctx context.Context, env *engine.Env, c *vaultkit.Client, shares []engine.Secret) error {
	for _, share := range shares {
		status, err := c.Unseal(ctx, share)
		switch {
		case custody.Rejected(err):
			// Vault does not name the wrong one. The next Inspect begins anew, so this
			// is not permanent, unlike Vault's answer.
			return engine.WithHint(
				fmt.Errorf("the shares that were submitted until now do not open this Vault together, and are forgotten: %v", err),
				"one of them is wrong or of another Vault: every custodian submits the own share again")
		case err != nil:
			return err
		case !status.Sealed:
			return nil
		}
		s.Keys.Mark(ctx, env, "submitted "+status.Nonce)
	}
	return nil
}

// changed returns when a share was submitted, or all were taken back. Vault has
// nothing to watch for that.
func changed(ctx context.Context, c *vaultkit.Client, before *vaultkit.SealStatus) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
		now, err := c.SealStatus(ctx)
		if err != nil || now.Sealed != before.Sealed || now.Progress != before.Progress || now.Nonce != before.Nonce {
			return err
		}
	}
}
