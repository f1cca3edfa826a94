package assertrotation

import (
	"context"
	"time"

	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// ProveAt is Prove with a cluster and endpoints of the test's choice.
func (s *Spec) ProveAt(ctx context.Context, env *engine.Env, client dynamic.Interface, endpoints ...tlskit.Endpoint) (Outputs, []engine.Finding, error) {
	u, err := tlskit.ParseURL(s.URL)
	if err != nil {
		return Outputs{}, nil, err
	}
	trust, err := s.Load()
	if err != nil {
		return Outputs{}, nil, err
	}
	return s.proveAt(ctx, env, u, trust, client, endpoints)
}

// NextTry is nextTry.
func NextTry(last time.Time, n int) time.Time { return nextTry(last, n) }
