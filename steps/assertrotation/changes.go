package assertrotation

import (
	"cmp"

	"github.com/ztplan/ztplan/engine"
)

// Changes declares what Prove changes.
func (s *Spec) Changes() []engine.Edit {
	var list []engine.Edit
	if s.During != nil {
		list = append(list, s.During.deletion())
		if s.During.Keys != nil {
			list = append(list, unsealing())
		}
	}
	if s.Trigger == triggerIntermediate && s.Intermediate != nil {
		list = append(list, s.Intermediate.place().Changes()...)
	}
	if s.Trigger != triggerWait {
		list = append(list, issuing(s.Certificate))
	}
	if s.Intermediate != nil {
		for _, ref := range s.Intermediate.Certificates {
			list = append(list, issuing(ref))
		}
	}
	return list
}

// issuing is what asks cert-manager for a renewal.
func issuing(ref Ref) engine.Edit {
	const later = "(known later)"
	return engine.Edit{
		Path: "Certificate/" + cmp.Or(ref.Namespace, later) + "/" + cmp.Or(ref.Name, later) + "/status/conditions/Issuing",
		Want: "True", Note: "cert-manager issues it anew",
	}
}

// deletion stands for the deletion of every pod of the part: the labels are in
// place of names, which are not known before.
func (d *During) deletion() engine.Edit {
	e := engine.Edit{
		Path: "Pod/" + d.namespace() + "/(" + d.selector() + ")", Want: "deleted, one after another",
		Note: "the pods with these labels",
	}
	if d.first() {
		e.Want = "deleted, all at once"
	}
	return e
}

// unsealing is the edit that vaultUnseal makes as well.
func unsealing() engine.Edit {
	return engine.Edit{Path: "sys/seal", Want: "unsealed", Note: "when Vault has come back"}
}
