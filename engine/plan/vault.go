package plan

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// ConnectsVault reports whether the plan says where Vault is and with what
// token: connections.vault has both.
func (p *Plan) ConnectsVault() bool {
	_, token := source.Lookup(p.vault, "token")
	return !source.IsNull(token)
}

// Vault fills connection, a pointer to a struct like the input vault of kinds,
// with what connections.vault says of it; outputs are as in [Step.Spec]. It is
// for who uses Vault beside the steps. The error is permanent and holds
// [source.Problems].
func (p *Plan) Vault(connection any, outputs func(id string) (any, bool)) error {
	if p.vault == nil {
		return nil
	}
	c := p.collector()
	p.decoder(&scope{outputs: outputs}, "", c.Add).Decode(p.vault, []spec.Elem{spec.Key("vault")}, connection)
	return engine.Permanent(c.Err())
}
