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
	there := f.Part != "" || len(f.Pods) > 0 || len(f.Deletions) > 0 || !f.Began.IsZero() || !f.Ended.IsZero()
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
	// Evidence from before there was a coverage has neither deletions nor the
	// moments of the absence.
	older := len(r.Coverage) == 0 && len(f.Deletions) == 0 && f.Away.IsZero()
	first := there && f.Part != "gateway" // before the renewal was asked for
	for name, due := range map[string]bool{"askedAway": first && !older, "restored": there, "maxDown": there, "maxCatchUp": there} {
		said := slices.ContainsFunc(r.Rules, func(rule Rule) bool { return rule.Name == name })
		switch {
		case said && !due:
			c.add("%s: rule %s without a fault that it is about", at, name)
		case proved && due && !said:
			c.add("%s: the step is proved without rule %s, though a fault was made", at, name)
		}
	}
	if !there {
		return
	}
	if !slices.Contains([]string{"vault", "cert-manager", "gateway"}, f.Part) || len(f.Pods) == 0 || f.Began.IsZero() {
		c.add("%s: the fault lacks part, pods or beginning", at)
	}
	if !older {
		v.deletions(c, at, f, proved)
	}
	away := !f.Away.IsZero() && !f.StillAway.IsZero() && !when["asked"].Before(f.Away) && !f.StillAway.Before(when["asked"])
	for _, rule := range r.Rules {
		if rule.Name == "askedAway" && text(rule.Saw) != fmt.Sprint(away) {
			c.add("%s: %s was away from %s and still at %s, the renewal was asked for at %s, and the rule saw %v", at, f.Part, f.Away, f.StillAway, when["asked"], rule.Saw)
		}
	}
	if !first && !(f.Away.IsZero() && f.StillAway.IsZero()) {
		c.add("%s: the gateway was away when the renewal was asked for, and is deleted after that", at)
	}
	if _, caught := when["caught-up"]; proved && !caught {
		c.add("%s: the step is proved without hop caught-up", at)
	}
	if proved && f.Ended.IsZero() {
		c.add("%s: the step is proved, but %s never came back", at, f.Part)
	}
}

// deletions: the fault began before the first pod was deleted, and ended when none
// of them was left.
func (v *verifier) deletions(c *Check, at string, f Fault, proved bool) {
	names := make([]string, len(f.Deletions))
	seen := make(map[string]bool)
	for i, d := range f.Deletions {
		names[i] = d.Pod
		if d.UID == "" || seen[d.UID] {
			c.add("%s: pod %s was deleted twice or has no UID", at, d.Pod)
		}
		seen[d.UID] = true
		if d.Deleted.Before(f.Began) {
			c.add("%s: pod %s was deleted at %s, before the fault began", at, d.Pod, d.Deleted)
		}
		if !d.Gone.IsZero() && d.Gone.Before(d.Deleted) {
			c.add("%s: pod %s was gone before it was deleted", at, d.Pod)
		}
		if !f.Ended.IsZero() && (d.Gone.IsZero() || d.Gone.After(f.Ended)) {
			c.add("%s: the restart of %s was over at %s, and pod %s was there until later", at, f.Part, f.Ended, d.Pod)
		}
		if !f.StillAway.IsZero() && d.Deleted.After(f.StillAway) {
			c.add("%s: pod %s was deleted when %s was away", at, d.Pod, f.Part)
		}
	}
	if !slices.Equal(names, f.Pods) {
		c.add("%s: the deletions are of pods %v, recorded %v", at, names, f.Pods)
	}
	if !f.Away.IsZero() && f.Away.Before(f.Began) {
		c.add("%s: %s was away before the fault began", at, f.Part)
	}
	if proved && len(f.Deletions) == 0 {
		c.add("%s: the step is proved without a deletion", at)
	}
}
