package unsealkeys

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
)

// Fits returns a permanent error unless the document a, which sinks hold, is in the
// clear without custodians, and else encrypted to those of the plan.
func (e *Encryption) Fits(a *Answer, sinks fmt.Stringer) error {
	switch {
	case len(a.Sealed) == 0 && len(e.custodians) == 0:
		return nil
	case len(a.Sealed) == 0:
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("%s holds the shares in the clear, and the plan names custodians", sinks)),
			"their readers know them: rekey Vault (vault operator rekey) and hand the new shares out, or take custodians out of the plan")
	case len(e.custodians) == 0:
		return engine.WithHint(
			engine.Permanent(fmt.Errorf("%s holds shares encrypted to %s, and the plan names no custodians", sinks, strings.Join(a.Custodians(), ", "))),
			"write the custodians into the plan as they are in there")
	}
	want := make(map[string]string)
	for _, c := range e.custodians {
		want[c.Name] = c.readers()
	}
	for _, p := range a.Sealed {
		switch have, ok := want[p.Name]; {
		case !ok:
			return misfit("%s holds a share of %s, who is no custodian in the plan", sinks, p.Name)
		case have != p.readers():
			return misfit("%s holds the share of %s encrypted to %s, and the plan says %s", sinks, p.Name, p.readers(), have)
		}
		delete(want, p.Name)
	}
	if len(want) > 0 {
		return misfit("%s holds no share of %s", sinks, strings.Join(slices.Sorted(maps.Keys(want)), ", "))
	}
	if have := a.SealedRootToken; have != nil && have.readers() != e.root.readers() {
		return misfit("%s holds the root token encrypted to %s, and the plan says %s", sinks, have.readers(), e.root.readers())
	}
	return nil
}

func misfit(format string, args ...any) error {
	return engine.WithHint(engine.Permanent(fmt.Errorf(format, args...)),
		"set the plan back: what is encrypted already stays as it is; other custodians need new shares (vault operator rekey)")
}
