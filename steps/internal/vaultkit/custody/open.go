package custody

import (
	"context"

	"filippo.io/age"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

// Open decrypts the parts of a that this run can read, and conceals them: all parts
// in the run that initialised Vault, unless Vault encrypted them, else those for the
// identities of the plan.
func (k Keys) Open(ctx context.Context, env *engine.Env, a *unsealkeys.Answer) error {
	if len(a.Sealed) > 0 {
		if err := k.decrypt(ctx, env, a); err != nil {
			return err
		}
	}
	env.Conceal(a.Secrets()...)
	return nil
}

func (k Keys) decrypt(ctx context.Context, env *engine.Env, a *unsealkeys.Answer) error {
	m, err := k.memories(ctx, env)
	if err != nil || m.recall(a) || len(k.Identities) == 0 {
		return err
	}
	var ids []age.Identity
	for _, f := range k.Identities {
		more, err := unsealkeys.ReadIdentities(f, env.Conceal)
		if err != nil {
			return err
		}
		ids = append(ids, more...)
	}
	a.Decrypt(ids, func(part string, err error) {
		if fact := part + " is damaged"; !k.Marked(ctx, env, fact) {
			k.Mark(ctx, env, fact)
			env.Warnf("%s: %s: it cannot be decrypted: %v", k, fact, err)
		}
	})
	return nil
}
