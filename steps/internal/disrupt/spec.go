package disrupt

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

// The values of Spec.Restart.
const (
	Vault       = "vault"
	CertManager = "cert-manager"
	Gateway     = "gateway"
)

// The default of Spec.MaxCatchUp, and of Spec.MaxDown beyond the grace periods of the
// pods. cert-manager tries again 5 seconds after Vault was away, and doubles that
// every time.
const (
	defaultMaxStart   = 2 * time.Minute
	defaultMaxCatchUp = 2 * time.Minute
)

// Spec is the disruption while the certificate rotates. Pods are deleted, as the
// drain of a node does, on a cluster as in the lab: that needs list, watch and
// delete on pods in their namespace.
type Spec struct {
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

	// Keys are the shares that unseal Vault when it has come back sealed: the same
	// as in the vaultUnseal step. Without it the step waits until Vault is unsealed
	// by other means.
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
func (d *Spec) chartPods() (namespace, selector string) {
	switch d.Restart {
	case Vault:
		return "vault", "app.kubernetes.io/name=vault,app.kubernetes.io/instance=vault,component=server"
	case CertManager:
		return "cert-manager", "app.kubernetes.io/instance=cert-manager,app.kubernetes.io/component=controller"
	default:
		return "ingress-apisix", "app.kubernetes.io/name=apisix,app.kubernetes.io/instance=apisix"
	}
}

func (d *Spec) namespace() string {
	if d.Namespace != "" {
		return d.Namespace
	}
	namespace, _ := d.chartPods()
	return namespace
}

func (d *Spec) selector() string {
	if d.Selector != "" {
		return d.Selector
	}
	_, selector := d.chartPods()
	return selector
}

// downLimit returns how long the part may be away when these pods of it are deleted.
func (d *Spec) downLimit(old []*pod) time.Duration {
	if d.MaxDown > 0 {
		return d.MaxDown.Std()
	}
	var grace time.Duration
	for _, p := range old {
		if d.First() {
			grace = max(grace, p.grace())
		} else {
			grace += p.grace() // one after another
		}
	}
	return defaultMaxStart + grace
}

// CatchUpLimit returns how long the rotation may take when the part is back.
func (d *Spec) CatchUpLimit() time.Duration {
	if d.MaxCatchUp > 0 {
		return d.MaxCatchUp.Std()
	}
	return defaultMaxCatchUp
}

// First reports whether the disruption comes before the renewal is asked for; false
// for nil.
func (d *Spec) First() bool { return d != nil && d.Restart != Gateway }

// Last reports whether the disruption comes when the Secret has been written; false
// for nil.
func (d *Spec) Last() bool { return d != nil && d.Restart == Gateway }

// Validate adds the problems of the spec in the plan's field during.
func (d *Spec) Validate(p *engine.Problems) {
	if _, err := labels.Parse(d.Selector); err != nil {
		p.Add("during.selector", "%v", err)
	}
	if d.Keys == nil {
		return
	}
	if d.Restart != Vault {
		p.Add("during.keys", "only vault needs keys when it comes back")
	}
	d.Keys.Validate(p, "during.keys")
}

// Changes declares the edits of the disruption.
func (d *Spec) Changes() []engine.Edit {
	list := []engine.Edit{d.deletion()}
	if d.Keys != nil {
		list = append(list, unsealing())
	}
	return list
}

// deletion stands for the deletion of every pod of the part: the labels replace the
// names, which are not known before.
func (d *Spec) deletion() engine.Edit {
	e := engine.Edit{
		Path: "Pod/" + d.namespace() + "/(" + d.selector() + ")", Want: "deleted, one after another",
		Note: "the pods with these labels",
	}
	if d.First() {
		e.Want = "deleted, all at once"
	}
	return e
}

// Intent describes the disruption and its rule.
func (d *Spec) Intent() []string {
	when := "as soon as the Secret is written"
	if d.First() {
		when = "before the renewal is asked for"
	}
	lines := []string{fmt.Sprintf("delete the pods of %s (%s in namespace %s) %s", d.Restart, d.selector(), d.namespace(), when)}
	limit := engine.Duration(d.downLimit(nil)).String()
	if d.MaxDown == 0 {
		limit += " and its pods' grace periods"
	}
	back := fmt.Sprintf("assert that %s is back within %s, and the new certificate on the wire within %s after that",
		d.Restart, limit, engine.Duration(d.CatchUpLimit()))
	if d.Restart == Vault {
		who := "wait until it is unsealed"
		if d.Keys != nil {
			who = fmt.Sprintf("unseal it with the shares in %s", d.Keys)
		}
		lines = append(lines, who)
	}
	return append(lines, back)
}
