package disrupt

import "github.com/ztplan/ztplan/engine"

// Permissions are needed for the disruption; nil needs none.
func (d *Spec) Permissions() []engine.Permission {
	if d == nil {
		return nil
	}
	list := []engine.Permission{{Verbs: []string{"list", "watch", "delete"}, Resource: "pods", Namespace: d.namespace(), Reason: "takes pods away while a certificate rotates"}}
	if d.Keys != nil {
		list = append(list, d.Keys.Permissions()...)
	}
	return list
}
