// Package steps lists the kinds of steps. Adding one is a package of its own
// and a line in this list.
//
// Each package directly below steps is a kind. The exceptions are steps/internal, the
// kits that kinds share; steps/hosting, which lint shares; steps/evidence and steps/hints,
// the records of a run and the remedies for errors; and steps/session, the parts of a run
// that talk to Vault or the cluster for the command line.
package steps

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/assertdenied"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/curltls"
	"github.com/ztplan/ztplan/steps/helminstall"
	"github.com/ztplan/ztplan/steps/k8sauth"
	"github.com/ztplan/ztplan/steps/pkiintermediate"
	"github.com/ztplan/ztplan/steps/pkiroot"
	"github.com/ztplan/ztplan/steps/vaultinit"
	"github.com/ztplan/ztplan/steps/vaultunseal"
)

// All returns every kind, in the order in which a set-up uses them.
func All() []*engine.Kind {
	return []*engine.Kind{
		helminstall.Kind,
		vaultinit.Kind,
		vaultunseal.Kind,
		pkiroot.Kind,
		pkiintermediate.Kind,
		k8sauth.Kind,
		applymanifest.Kind,
		assertrotation.Kind,
		assertdenied.Kind,
		curltls.Kind,
	}
}
