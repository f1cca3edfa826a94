package evidence

import (
	"fmt"
	"slices"
	"time"
)

// fault: what was broken is what the hops and the rules say, and a proof that
// broke something held only if that came back.
func (v *verifier) fault(c *Check, at string, r *RotationRecord, proved bool) {
	when := make(map[string]time.Time)
	for _, h := range r.Hops {
		when[h.Name] = h.At
	}
	f := r.Fault
	there := f.Part != "" || len(f.Pods) > 0 || !f.Began.IsZero() || !f.Ended.IsZero()
	for name, moment := range map[string]time.Time{"fault": f.Began, "restored": f.Ended} {
		if !when[name].Equal(moment) {
			c.add("%s: hop %s is at %s and the fault says %s", at, name, when[name], moment)
		}
	}
	if _, unsealed := when["unsealed"]; unsealed && f.Part != "vault" {
		c.add("%s: hop unsealed, and Vault was not what was broken", at)
	}
	for _, rule := range r.Rules {
		if rule.Name == "restored" && text(rule.Saw) != fmt.Sprint(!f.Ended.IsZero()) {
			c.add("%s: the rule saw %s restored: %v, and the fault ended at %s", at, f.Part, rule.Saw, f.Ended)
		}
	}
	for _, name := range []string{"restored", "maxDown", "maxCatchUp"} {
		said := slices.ContainsFunc(r.Rules, func(rule Rule) bool { return rule.Name == name })
		switch {
		case said && !there:
			c.add("%s: rule %s without a fault", at, name)
		case proved && there && !said:
			c.add("%s: the step is proved without rule %s, though a fault was made", at, name)
		}
	}
	if !there {
		return
	}
	if !slices.Contains([]string{"vault", "cert-manager", "gateway"}, f.Part) || len(f.Pods) == 0 || f.Began.IsZero() {
		c.add("%s: the fault lacks part, pods or beginning", at)
	}
	if _, caught := when["caught-up"]; proved && !caught {
		c.add("%s: the step is proved without hop caught-up", at)
	}
	if proved && f.Ended.IsZero() {
		c.add("%s: the step is proved, but %s never came back", at, f.Part)
	}
}
