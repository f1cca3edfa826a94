package vaultinit

import (
	"context"
	"fmt"
	"sync"

	"github.com/ztplan/ztplan/engine"
)

// learned is the root token that Vault said during this run. A sink may keep it
// in a form that only its custodian reads, so that this is the only way to end
// it.
type learned struct {
	mu    sync.Mutex
	token engine.Secret
}

func (s *Spec) learned(ctx context.Context, env *engine.Env) (*learned, error) {
	return engine.Share(ctx, env.Session, fmt.Sprintf("root token %+v", s.Vault.Server),
		func(context.Context) (*learned, error) { return new(learned), nil })
}

func (l *learned) set(token engine.Secret) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.token = token
}

func (l *learned) get() engine.Secret {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.token
}
