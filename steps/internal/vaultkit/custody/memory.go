package custody

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/session"
)

// A memory holds facts about one sink that the sink itself does not. It lives in
// the run's session and ends with it.
type memory struct {
	answer atomic.Pointer[unsealkeys.Answer]
	facts  sync.Map // keys are texts
}

// Close forgets the keys.
func (m *memory) Close() error {
	m.answer.Store(nil)
	return nil
}

type memories []*memory

// memories returns a memory for each sink of k. Steps that name the same sink
// share its memory.
func (k Keys) memories(ctx context.Context, env *engine.Env) (memories, error) {
	var places []string
	if !k.File.IsZero() {
		places = append(places, "file "+session.Of(env).Sink(k.File))
	}
	if k.Secret != nil {
		places = append(places, "secret "+k.Secret.Namespace+"/"+k.Secret.Name)
	}
	var out memories
	for _, place := range places {
		m, err := engine.Share(ctx, env.Session, "custody|"+place, func(context.Context) (*memory, error) { return &memory{}, nil })
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

// Remember keeps the keys in the clear for the later steps of this run, so that
// shares encrypted to custodians still open Vault in it.
func (k Keys) Remember(ctx context.Context, env *engine.Env, a *unsealkeys.Answer) error {
	all, err := k.memories(ctx, env)
	for _, m := range all {
		m.answer.Store(a)
	}
	return err
}

// recall fills a from memory, and reports whether there was anything. A root token
// that has left the sink is not remembered.
func (all memories) recall(a *unsealkeys.Answer) bool {
	for _, m := range all {
		known := m.answer.Load()
		if known == nil || !known.SameKeys(a) {
			continue
		}
		a.Shares, a.Opened = known.Shares, known.Opened
		if a.SealedRootToken != nil {
			a.RootToken = known.RootToken
		}
		return true
	}
	return false
}

// Mark keeps a fact about these keys for the rest of the run.
func (k Keys) Mark(ctx context.Context, env *engine.Env, fact string) {
	all, _ := k.memories(ctx, env)
	for _, m := range all {
		m.facts.Store(fact, true)
	}
}

// Marked reports whether Mark was called with fact in this run.
func (k Keys) Marked(ctx context.Context, env *engine.Env, fact string) bool {
	all, _ := k.memories(ctx, env)
	return slices.ContainsFunc(all, func(m *memory) bool {
		_, known := m.facts.Load(fact)
		return known
	})
}
