package pkiintermediate

import (
	"context"

	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// issue makes an intermediate and gives it the name. It may stop anywhere:
// the next Inspect finds its leftovers.
func (a *authority) issue(ctx context.Context) error {
	if a.parent == nil {
		return a.noParent()
	}
	id, err := a.intermediate().Make(ctx, a.client, a.keys, a.issuers)
	if err != nil {
		return err
	}
	return a.giveName(ctx, id)
}

// giveName gives the intermediate's name to an issuer, and its own to the one that had it.
func (a *authority) giveName(ctx context.Context, id string) error {
	if a.named != nil {
		retire := pki.Rename(a.client, a.Mount, a.named, pki.RetiredName(a.name, a.named.Certificate), "")
		if err := retire.Apply(ctx); err != nil {
			return err
		}
	}
	return pki.Rename(a.client, a.Mount, &pki.Issuer{ID: id}, a.name, "").Apply(ctx)
}

// intermediate is the one that the plan wants.
func (a *authority) intermediate() *pki.Intermediate {
	return &pki.Intermediate{
		Authority: a.Authority, Mount: a.Mount, Name: a.name,
		ParentMount: a.Parent.Mount, Parent: a.parent,
		MaxPathLength: a.MaxPathLength, Allow: a.Allowed(),
	}
}
