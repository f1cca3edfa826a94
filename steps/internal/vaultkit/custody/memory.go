package custody

import (
	"context"
	"sync"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/session"
)

// A memory is what a run knows about one sink and the sink does not tell. It
// lives in the run's session and ends with it.
type memory struct {
	mu     sync.Mutex
	answer *unsealkeys.Answer
	facts  map[string]bool
}

// Close forgets.
func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer = nil
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

// Remember hands what Vault said in the clear over to the later steps of this
// run, so that shares encrypted to others still open Vault in it.
func (k Keys) Remember(ctx context.Context, env *engine.Env, a *unsealkeys.Answer) error {
	all, err := k.memories(ctx, env)
	for _, m := range all {
		m.mu.Lock()
		m.answer = a
		m.mu.Unlock()
	}
	return err
}

// recall fills a with what is remembered of it, and reports whether anything is.
// A root token that has left the sink is not remembered.
func (all memories) recall(a *unsealkeys.Answer) bool {
	for _, m := range all {
		m.mu.Lock()
		known := m.answer
		m.mu.Unlock()
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
		m.mu.Lock()
		if m.facts == nil {
			m.facts = make(map[string]bool)
		}
		m.facts[fact] = true
		m.mu.Unlock()
	}
}

// Marked reports whether Mark was called with fact in this run.
func (k Keys) Marked(ctx context.Context, env *engine.Env, fact string) bool {
	all, _ := k.memories(ctx, env)
	for _, m := range all {
		m.mu.Lock()
		known := m.facts[fact]
		m.mu.Unlock()
		if known {
			return true
		}
	}
	return false
}
