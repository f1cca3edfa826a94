package assertrotation

import (
	"context"

	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/carollover"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/probe"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// ProveAt is Prove with a cluster and endpoints of the test's choice.
// reopen plays the unsealing of Vault, both the intermediates in it, behind the
// Service of the gateway, if there is one; identity is presented.
func (s *Spec) ProveAt(ctx context.Context, env *engine.Env, client dynamic.Interface, reopen func(context.Context) error, both func(context.Context) (carollover.Authorities, error), behind func() Behind, identity *tlskit.Identity, endpoints ...tlskit.Endpoint) (Outputs, []engine.Finding, error) {
	u, err := tlskit.ParseURL(s.URL)
	if err != nil {
		return Outputs{}, nil, err
	}
	trust, err := s.TrustInput.Load(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	p := &proof{spec: s, env: env, url: u, trust: trust, identity: identity, endpoints: endpoints, client: client, clock: certwatch.NewClock(env.Now), unseal: reopen, lookVault: both, backoff: certmanager.DefaultBackoff()}
	p.findServers = func(context.Context) (probe.Servers, error) {
		found := probe.Assumed(s.Probe.Workers)
		if behind != nil {
			b := behind()
			found.Count, found.Replicas, found.Sticky, found.Problem, found.Apart = b.Count, b.Pods, b.Sticky, b.Problem, false
		}
		return found, nil
	}
	return p.run(ctx)
}

// Behind has the servers behind a Service of the test's choice; the pods are
// those that can be looked at.
type Behind struct {
	Count   int
	Pods    []tlskit.Endpoint
	Sticky  bool
	Problem string
}
