package curltls

import (
	"context"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// ProveAt is Prove with endpoints of the test's choice.
func (s *Spec) ProveAt(ctx context.Context, env *engine.Env, endpoints ...tlskit.Endpoint) (Outputs, []engine.Finding, error) {
	u, err := tlskit.ParseURL(s.URL)
	if err != nil {
		return Outputs{}, nil, err
	}
	trust, err := s.TrustInput.Load(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	client, err := s.Client.Load(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	return s.proveAt(ctx, env, u, trust, client, endpoints)
}
