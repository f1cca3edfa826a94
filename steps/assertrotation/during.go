package assertrotation

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

// The values of During.Restart.
const (
	partVault       = "vault"
	partCertManager = "cert-manager"
	partGateway     = "gateway"
)

// The default of During.MaxCatchUp, and what During.MaxDown is by default beyond
// the grace periods of the pods. cert-manager tries again 5
// seconds after Vault was away, and doubles that every time.
const (
	defaultMaxStart   = 2 * time.Minute
	defaultMaxCatchUp = 2 * time.Minute
)

// During is what is broken while the certificate rotates. Pods are deleted, as
// the drain of a node does, on a cluster as on the lab: that needs list, watch
// and delete on pods in their namespace.
type During struct {
	// Restart is the part whose pods are deleted. Those of vault and
	// cert-manager are deleted before the renewal is asked for, all at once. It is
	// asked for when they have ended and no other pod of the part is ready, so that
	// it falls due while the part is away. A replacement that is ready too soon is
	// deleted, too; if the part is never away the proof does not hold. The pods of
	// the gateway are deleted when the Secret has been written, one after another,
	// so that with several of them one always answers. A gateway alone leaves its
	// clients without an answer, and each of its pods closes its connections when
	// it ends, which maxFailures and maxLost have to allow. The restart is over when
	// every pod that was deleted is gone and as many as before are ready.
	Restart string `yaml:"restart" check:"required,oneof=vault|cert-manager|gateway"`

	// Namespace is where the pods are. The defaults are vault, cert-manager and
	// ingress-apisix.
	Namespace string `yaml:"namespace"`

	// Selector is the label selector of the pods. The defaults are the labels
	// that the three charts set, for releases called vault, cert-manager (its
	// controller) and apisix.
	Selector string `yaml:"selector"`

	// Keys says where the shares are that unseal Vault when it has come back
	// sealed: the same as in the vaultUnseal step. Without it the step waits
	// until somebody else has unsealed it.
	Keys *custody.Keys `yaml:"keys"`

	// MaxDown is how long it may take from the deletion until the old pods are
	// gone and as many as before are ready. Default: 2m and the longest grace period
	// (terminationGracePeriodSeconds) of the pods, for the gateway 2m and the sum of
	// all.
	MaxDown engine.Duration `yaml:"maxDown" check:"min=0s"`

	// MaxCatchUp is how long it may take from then until every address shows
	// only the new certificate. Default: 2m.
	MaxCatchUp engine.Duration `yaml:"maxCatchUp" check:"min=0s"`
}

// chartPods are namespace and labels of the pods as the charts hashicorp/vault,
// jetstack/cert-manager and apisix/apisix make them.
func (d *During) chartPods() (namespace, selector string) {
	switch d.Restart {
	case partVault:
		return "vault", "app.kubernetes.io/name=vault,app.kubernetes.io/instance=vault,component=server"
	case partCertManager:
		return "cert-manager", "app.kubernetes.io/instance=cert-manager,app.kubernetes.io/component=controller"
	default:
		return "ingress-apisix", "app.kubernetes.io/name=apisix,app.kubernetes.io/instance=apisix"
	}
}

func (d *During) namespace() string {
	if d.Namespace != "" {
		return d.Namespace
	}
	namespace, _ := d.chartPods()
	return namespace
}

func (d *During) selector() string {
	if d.Selector != "" {
		return d.Selector
	}
	_, selector := d.chartPods()
	return selector
}

// maxDown is how long the part may be away when these pods of it are deleted.
func (d *During) maxDown(old []*pod) time.Duration {
	if d.MaxDown > 0 {
		return d.MaxDown.Std()
	}
	var grace time.Duration
	for _, p := range old {
		if d.first() {
			grace = max(grace, p.grace())
		} else {
			grace += p.grace() // one after another
		}
	}
	return defaultMaxStart + grace
}

func (d *During) maxCatchUp() time.Duration {
	if d.MaxCatchUp > 0 {
		return d.MaxCatchUp.Std()
	}
	return defaultMaxCatchUp
}

// first reports whether the fault comes before the renewal is asked for.
func (d *During) first() bool { return d != nil && d.Restart != partGateway }

// last reports whether the fault comes when the Secret has been written.
func (d *During) last() bool { return d != nil && d.Restart == partGateway }

func (d *During) validate(p *engine.Problems, s *Spec) {
	if _, err := labels.Parse(d.Selector); err != nil {
		p.Add("during.selector", "%v", err)
	}
	if d.first() && s.Trigger == triggerWait {
		p.AddProblem(engine.Problem{
			Field:   "during.restart",
			Message: fmt.Sprintf("with trigger: wait nobody knows when %s would have to be away", d.Restart),
			Hint:    "use trigger: renew",
		})
	}
	if d.last() && s.Service != nil && s.Service.Via == tlskit.ViaTunnel && s.Endpoints == tlskit.EndpointsAll {
		p.AddProblem(engine.Problem{
			Field:   "during.restart",
			Message: "the probes would go to each of the gateway's pods, and those are deleted",
			Hint:    "use service.via: nodePort, or endpoints: first",
		})
	}
	if d.Keys == nil {
		return
	}
	if d.Restart != partVault {
		p.Add("during.keys", "only vault needs keys when it comes back")
	}
	d.Keys.Validate(p, "during.keys")
}

// intent says what is broken and what must hold then.
func (d *During) intent() []string {
	when := "as soon as the Secret is written"
	if d.first() {
		when = "before the renewal is asked for"
	}
	lines := []string{fmt.Sprintf("delete the pods of %s (%s in namespace %s) %s", d.Restart, d.selector(), d.namespace(), when)}
	limit := engine.Duration(d.maxDown(nil)).String()
	if d.MaxDown == 0 {
		limit += " and its pods' grace periods"
	}
	back := fmt.Sprintf("assert that %s is back within %s, and the new certificate on the wire within %s after that",
		d.Restart, limit, engine.Duration(d.maxCatchUp()))
	if d.Restart == partVault {
		who := "wait until somebody has unsealed it"
		if d.Keys != nil {
			who = fmt.Sprintf("unseal it with the shares in %s", d.Keys)
		}
		lines = append(lines, who)
	}
	return append(lines, back)
}
