package custody

import (
	"context"

	"filippo.io/age"

	"github.com/ztplan/ztplan/engine"
)

// Open decrypts what it can of a and conceals it: everything in the run that
// initialised Vault, unless Vault encrypted it, else what the identities of the
// plan are for.
func (k Keys) Open(ctx context.Context, env *engine.Env, a *Answer) error {
	if len(a.Sealed) > 0 {
		if err := k.decrypt(ctx, env, a); err != nil {
			return err
		}
	}
	env.Conceal(a.Secrets()...)
	return nil
}

func (k Keys) decrypt(ctx context.Context, env *engine.Env, a *Answer) error {
	m, err := k.memories(ctx, env)
	if err != nil || m.recall(a) || len(k.Identities) == 0 {
		return err
	}
	var ids []age.Identity
	for _, f := range k.Identities {
		more, err := readIdentities(f, env.Conceal)
		if err != nil {
			return err
		}
		ids = append(ids, more...)
	}
	read := func(p Part, what string) (text engine.Secret, ok bool) {
		if len(p.Age) == 0 {
			return engine.Secret{}, false
		}
		plain, ok, err := openAge(p.Text, ids)
		if fact := what + " is damaged"; err != nil && !k.Marked(ctx, env, fact) {
			k.Mark(ctx, env, fact)
			env.Warnf("%s: %s: it cannot be decrypted: %v", k, fact, err)
		}
		return engine.NewSecret(plain), ok
	}
	for _, p := range a.Sealed {
		if share, ok := read(p, "the share of "+p.Name); ok {
			a.Shares = append(a.Shares, share)
			a.Opened = append(a.Opened, p.Name)
		}
	}
	if p := a.SealedRootToken; p != nil {
		if token, ok := read(*p, "the root token"); ok {
			a.RootToken = token
		}
	}
	return nil
}
