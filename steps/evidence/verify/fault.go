package verify

import (
	"slices"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
)

// fault verifies that the fault agrees with the hops and the rules, and that it
// ended if the proof held.
func (r *rotation) fault() {
	f := r.Fault
	there := f.Part != "" || len(f.Pods) > 0 || len(f.Deletions) > 0 || !f.Began.IsZero() || !f.Ended.IsZero()
	for _, hop := range []struct {
		name   string
		moment time.Time
	}{{"fault", f.Began}, {"restored", f.Ended}} {
		if at := r.reached[hop.name]; !at.Equal(hop.moment) {
			r.add("hop %s is at %s and the fault says %s", hop.name, at, hop.moment)
		}
	}
	if _, unsealed := r.reached["unsealed"]; unsealed && f.Part != "vault" {
		r.add("hop unsealed, and Vault was not what was broken")
	}
	for _, rule := range r.Rules {
		if rule.Name == "restored" && !evidence.Equal(rule.Saw, !f.Ended.IsZero()) {
			r.add("the rule saw %s restored: %v, and the fault ended at %s", f.Part, rule.Saw, f.Ended)
		}
	}
	// Evidence from before there was a coverage has neither deletions nor the
	// moments of the absence.
	older := len(r.Coverage) == 0 && len(f.Deletions) == 0 && f.Away.IsZero()
	first := there && f.Part != "gateway" // before the renewal was asked for
	for _, rule := range []struct {
		name string
		due  bool
	}{{"askedAway", first && !older}, {"restored", there}, {"maxDown", there}, {"maxCatchUp", there}} {
		ruled := slices.ContainsFunc(r.Rules, func(saw evidence.Rule) bool { return saw.Name == rule.name })
		switch {
		case ruled && !rule.due:
			r.add("rule %s without a fault that it is about", rule.name)
		case r.proved && rule.due && !ruled:
			r.add("the step is proved without rule %s, though a fault was made", rule.name)
		}
	}
	if !there {
		return
	}
	if !slices.Contains([]string{"vault", "cert-manager", "gateway"}, f.Part) || len(f.Pods) == 0 || f.Began.IsZero() {
		r.add("the fault lacks part, pods or beginning")
	}
	if !older {
		r.deletions()
	}
	away := !f.Away.IsZero() && !f.StillAway.IsZero() && !r.reached["asked"].Before(f.Away) && !f.StillAway.Before(r.reached["asked"])
	for _, rule := range r.Rules {
		if rule.Name == "askedAway" && !evidence.Equal(rule.Saw, away) {
			r.add("%s was away from %s and still at %s, the renewal was asked for at %s, and the rule saw %v", f.Part, f.Away, f.StillAway, r.reached["asked"], rule.Saw)
		}
	}
	if !first && !(f.Away.IsZero() && f.StillAway.IsZero()) {
		r.add("the gateway was away when the renewal was asked for, and is deleted after that")
	}
	if _, caught := r.reached["caught-up"]; r.proved && !caught {
		r.add("the step is proved without hop caught-up")
	}
	if r.proved && f.Ended.IsZero() {
		r.add("the step is proved, but %s never came back", f.Part)
	}
}

// deletions verifies that the fault began before the first pod was deleted, and
// ended when none of them was left.
func (r *rotation) deletions() {
	f := r.Fault
	names := make([]string, len(f.Deletions))
	seen := make(map[string]bool)
	for i, d := range f.Deletions {
		names[i] = d.Pod
		if d.UID == "" || seen[d.UID] {
			r.add("pod %s was deleted twice or has no UID", d.Pod)
		}
		seen[d.UID] = true
		if d.Deleted.Before(f.Began) {
			r.add("pod %s was deleted at %s, before the fault began", d.Pod, d.Deleted)
		}
		if !d.Gone.IsZero() && d.Gone.Before(d.Deleted) {
			r.add("pod %s was gone before it was deleted", d.Pod)
		}
		if !f.Ended.IsZero() && (d.Gone.IsZero() || d.Gone.After(f.Ended)) {
			r.add("the restart of %s was over at %s, and pod %s was there until later", f.Part, f.Ended, d.Pod)
		}
		if !f.StillAway.IsZero() && d.Deleted.After(f.StillAway) {
			r.add("pod %s was deleted when %s was away", d.Pod, f.Part)
		}
	}
	if !slices.Equal(names, f.Pods) {
		r.add("the deletions are of pods %v, recorded %v", names, f.Pods)
	}
	if !f.Away.IsZero() && f.Away.Before(f.Began) {
		r.add("%s was away before the fault began", f.Part)
	}
	if r.proved && len(f.Deletions) == 0 {
		r.add("the step is proved without a deletion")
	}
}
