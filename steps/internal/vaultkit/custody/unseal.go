package custody

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

// Unsealing returns the keys in k for a sealed Vault, or a permanent error with
// the reason why they cannot unseal it. With custodians, their shares may be too few.
func (k Keys) Unsealing(ctx context.Context, env *engine.Env, status *vaultkit.SealStatus) (*unsealkeys.Answer, error) {
	switch {
	case !status.Initialized:
		return nil, engine.WithHint(engine.Permanent(vaultkit.ErrNotInitialized), "let this step come after a vaultInit step")
	case status.Migration:
		return nil, engine.WithHint(engine.Permanent(errors.New("vault's seal is being migrated")),
			"finish the migration by hand: vault operator unseal -migrate")
	}
	answer, _, err := k.Look(ctx, env)
	if err != nil {
		return nil, err
	}
	if answer == nil {
		return nil, vaultkit.Refusal("put the shares there, in the form of vault operator init -format=json, or unseal by hand: vault operator unseal",
			"vault is sealed, and %s", k.Absent())
	}
	shares := answer.Distinct()
	switch {
	case answer.Recovery:
		return nil, vaultkit.Refusal("these are the keys of a Vault with auto-unseal, and this one has none",
			"%s holds recovery keys, which cannot unseal", k)
	case len(shares) < status.T && len(answer.Sealed) == 0:
		return nil, vaultkit.Refusal("the shares of other custodians are missing: add them, or let them unseal by hand",
			"%s holds %d distinct shares, and %d are needed", k, len(shares), status.T)
	}
	return answer, nil
}

// Unseal submits shares of k until Vault is unsealed. If that fails with shares
// in the play that others had submitted, it begins once more with ours alone.
func (k Keys) Unseal(ctx context.Context, c *vaultkit.Client, shares []engine.Secret) error {
	status, err := c.SealStatus(ctx)
	if err != nil || !status.Sealed {
		return err
	}
	foreign := status.Progress > 0
	err = submit(ctx, c, status, shares)
	if foreign && Rejected(err) {
		if status, err = c.SealStatus(ctx); err != nil || !status.Sealed {
			return err
		}
		err = submit(ctx, c, status, shares)
	}
	if Rejected(err) {
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("the shares in %s do not open this Vault: %w", k, err)),
			"they belong to another Vault: find those of this one; or, if its data may go, "+c.Emptied()+", move the keys away, and run again")
	}
	return err
}

// ErrStillSealed means that Vault is sealed after all shares. Others may be submitting
// at the same time; another Inspect shows it.
var ErrStillSealed = errors.New("vault is still sealed after every share was submitted: another client may be unsealing or resetting at the same time")

func submit(ctx context.Context, c *vaultkit.Client, status *vaultkit.SealStatus, shares []engine.Secret) error {
	begun := status.Progress
	for _, share := range shares {
		next, err := c.Unseal(ctx, share)
		if err != nil {
			return err
		}
		if !next.Sealed {
			return nil
		}
		if next.Progress < begun {
			return fmt.Errorf("the progress of unsealing went from %d to %d: %w", begun, next.Progress, ErrStillSealed)
		}
		begun = next.Progress
	}
	return ErrStillSealed
}

// Rejected reports whether Vault refused the shares themselves. It has forgotten all
// of them then.
func Rejected(err error) bool {
	var e *vaultkit.Error
	return errors.As(err, &e) && (e.Status == http.StatusBadRequest || e.Contains("invalid key") || e.Contains("cipher: message authentication failed"))
}
