package lint

import (
	"github.com/ztplan/ztplan/cmd/ztplan/lint/denied"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertdenied"
)

// denials: proofs of refusals whose requests do not fit the roles that the plan makes.
func denials(f *facts) (out []Finding) {
	for _, s := range f.plan.Steps {
		draft, pending := s.Draft()
		spec, ok := draft.(*assertdenied.Spec)
		if !ok {
			continue
		}
		var made denied.Plan
		for _, a := range f.authRoles() {
			if _, open := a.step.Draft(); a.spec.ServerID() == spec.ServerID() && engine.Known(a.field, open) {
				accounts, namespaces := a.accounts()
				made.Logins = append(made.Logins, denied.Login{Mount: a.spec.Mount, Name: a.role.Name, Accounts: accounts, Namespaces: namespaces})
			}
		}
		for _, r := range f.signers() {
			if _, open := r.step.Draft(); r.server == spec.ServerID() && engine.Known(r.field, open) {
				made.Signers = append(made.Signers, denied.Signer{Role: r.Role, Mount: r.mount})
			}
		}
		for _, m := range made.Mistakes(spec, pending) {
			out = append(out, at(s, m.Field, m.Rule, "", "%s", m.Text))
		}
	}
	return out
}
