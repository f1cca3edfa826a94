package assertrotation

import (
	"context"
	"time"

	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// ProveAt is Prove with a cluster and endpoints of the test's choice.
// reopen plays the unsealing of Vault, both the intermediates in it.
func (s *Spec) ProveAt(ctx context.Context, env *engine.Env, client dynamic.Interface, reopen func(context.Context) error, both func(context.Context) (Authorities, error), endpoints ...tlskit.Endpoint) (Outputs, []engine.Finding, error) {
	u, err := tlskit.ParseURL(s.URL)
	if err != nil {
		return Outputs{}, nil, err
	}
	trust, err := s.Load()
	if err != nil {
		return Outputs{}, nil, err
	}
	p := &proof{spec: s, env: env, url: u, trust: trust, endpoints: endpoints, client: client, reopen: reopen, lookVault: both}
	return p.run(ctx)
}

// Authorities are the intermediates in a Vault of the test's choice.
type (
	Authorities = authorities
	Trial       = trial
)

// NextTry is nextTry.
func NextTry(last time.Time, n int) time.Time { return nextTry(last, n) }
