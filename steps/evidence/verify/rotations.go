package verify

import (
	"fmt"
	"slices"
	"time"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// A rotation is the verification of one rotation on record.
type rotation struct {
	*verifier
	*evidence.RotationRecord
	check   *Check
	at      string               // names the rotation in problems
	proved  bool                 // by this record, the last one of its number
	reached map[string]time.Time // times of the hops by name
}

func (v *verifier) rotations() Check {
	samples := 0
	c := Check{Name: "rotations"}
	type key struct {
		step   string
		number int
	}
	last := make(map[key]int)
	for i, r := range v.doc.Rotations {
		last[key{r.Step, r.Number}] = i
	}
	for i := range v.doc.Rotations {
		r := rotation{verifier: v, RotationRecord: &v.doc.Rotations[i], check: &c, reached: make(map[string]time.Time)}
		r.at = fmt.Sprintf("step %s: rotation %d", r.Step, r.Number)
		r.proved = v.states[r.Step] == "proved" && last[key{r.Step, r.Number}] == i
		for _, h := range r.Hops {
			r.reached[h.Name] = h.At
		}
		for _, e := range r.Endpoints {
			samples += e.Attempts
		}
		r.verify()
	}
	c.Did = display.Count(len(v.doc.Rotations), "rotation") + ", " + display.Count(samples, "handshake") + ": chains, serials, keys, sums, gaps, hops and rules computed again"
	return c
}

func (r *rotation) add(format string, args ...any) {
	r.check.add("%s: "+format, append([]any{r.at}, args...)...)
}

func (r *rotation) verify() {
	r.known(r.check, r.Step)
	r.within(r.check, r.at, r.Began)
	r.within(r.check, r.at, r.Ended)
	r.mark(slices.Concat(r.Certs, r.Clients), r.Trust)
	r.presented(r.check, r.at, r.Clients, r.Rules)
	for _, e := range slices.Concat(r.Endpoints, r.Looks) {
		r.endpoint(e)
	}
	r.coverages()
	r.hops()
	r.fault()
	r.rollover()
	r.rules(r.check, r.at, r.Rules)
	r.measured()
	if len(r.Certs) > 0 {
		r.trusted(r.check, r.at+": old certificate", r.Step, r.Certs[0], r.Trust, r.Server, r.Began)
	}
	if len(r.Certs) > 1 {
		r.trusted(r.check, r.at+": new certificate", r.Step, r.Certs[1], r.Trust, r.Server, r.Ended)
		r.change()
	}
	if !r.proved {
		return
	}
	if len(r.Rules) == 0 {
		r.add("the step is proved without a rule")
	}
	r.allHold(r.check, r.at, r.Rules)
	if len(r.Certs) < 2 {
		r.add("the step is proved without a new certificate")
	}
	if len(r.Endpoints) == 0 {
		r.add("the step is proved without an endpoint")
	}
}

// change verifies that the new certificate is new, later, and has the key that the
// policy asks for, unless the step failed and the record has the measurement.
func (r *rotation) change() {
	was, is := r.certs[r.Certs[0].Fingerprint], r.certs[r.Certs[1].Fingerprint]
	if was == nil || is == nil {
		return // a problem of trusted
	}
	if r.proved && was.SerialNumber.Cmp(is.SerialNumber) == 0 {
		r.add("old and new certificate have the same serial number")
	}
	if r.proved && !is.NotBefore.After(was.NotBefore) {
		r.add("the new certificate is not valid from later than the old one")
	}
	changed := !slices.Equal(was.RawSubjectPublicKeyInfo, is.RawSubjectPublicKeyInfo)
	if r.KeyPolicy != "Always" && r.KeyPolicy != "Never" {
		r.add("there is no key policy %q", r.KeyPolicy)
	}
	ruled := false
	for _, rule := range r.Rules {
		if rule.Name == "newKey" {
			ruled = true
			if !evidence.Equal(rule.Saw, changed) {
				r.add("the key changed: %t, recorded %v", changed, rule.Saw)
			}
		}
	}
	if want := r.KeyPolicy == "Always"; r.proved && !ruled && changed != want {
		r.add("the key changed: %t, against key policy %s", changed, r.KeyPolicy)
	}
}

// inOrder are pairs of hops of which the second cannot come before the first.
var inOrder = [][2]string{
	{"asked", "issuing"}, {"asked", "secret"}, {"first-on-wire", "last-on-wire"}, {"asked", "first-on-wire"},
	{"fault", "unsealed"}, {"unsealed", "restored"}, {"fault", "restored"}, {"restored", "caught-up"}, {"last-on-wire", "caught-up"},
	{"made", "overlap"}, {"overlap", "took-over"}, {"took-over", "asked"}, {"secret", "reissued"}, {"reissued", "retired"}, {"secret", "retired"},
}

// hops verifies that causes come before their effects, as far as the hops are on
// record, and that the hops are placed by the observations.
func (r *rotation) hops() {
	seen := make(map[string]bool)
	placed := false
	for _, h := range r.Hops {
		if seen[h.Name] || h.Name == "" {
			r.add("hop %q is there twice or has no name", h.Name)
		}
		seen[h.Name] = true
		placed = placed || h.Source != ""
		if h.At.Before(r.Began.Add(-clockSlack)) || h.At.After(r.Ended.Add(clockSlack)) {
			r.add("hop %s is outside the rotation", h.Name)
		}
	}
	for _, pair := range inOrder {
		if seen[pair[0]] && seen[pair[1]] && r.reached[pair[1]].Before(r.reached[pair[0]].Add(-hopSlack)) {
			r.add("hop %s is before hop %s", pair[1], pair[0])
		}
	}
	if placed {
		r.placed()
	}
	if r.proved && !seen["last-on-wire"] {
		r.add("the step is proved without hop last-on-wire")
	}
}

// placed verifies that the hops are where PlaceHops puts them, and that the way of a
// proved step from the request to the wire is causal without any slack.
func (r *rotation) placed() {
	if k := r.Clock; k.Least > k.Most || k.Resolution < 0 {
		r.add("the API server's clock is ahead by %g s to %g s, to %g s", k.Least, k.Most, k.Resolution)
	}
	for i, want := range evidence.PlaceHops(r.Hops, r.Clock) {
		have := r.Hops[i]
		if have.Name != want.Name || !have.At.Equal(want.At) || !have.Earliest.Equal(want.Earliest) || have.Source != want.Source || have.Order != want.Order {
			r.add("hop %d is %s at %s, computed %s at %s: or its earliest moment, source or order is not what was observed", i+1,
				have.Name, have.At.Format(time.RFC3339Nano), want.Name, want.At.Format(time.RFC3339Nano))
			return
		}
	}
	place := make(map[string]int)
	for i, h := range r.Hops {
		place[h.Name] = i + 1
	}
	way := []string{"requested", "approved", "signed", "secret", "first-on-wire", "last-on-wire"}
	for i, cause := range way {
		for _, effect := range way[i+1:] {
			if r.proved && place[cause] > place[effect] && place[effect] > 0 {
				r.add("hop %s is before hop %s", effect, cause)
			}
		}
	}
}

// hopSlack is how much later a watch may deliver an event, in records without the
// sources of their hops; Kubernetes writes whole seconds into conditions.
const hopSlack = time.Second

// measured verifies that rules about sums saw the sums of the samples.
func (r *rotation) measured() {
	failures, gap := 0, 0.0
	for _, e := range r.Endpoints {
		for _, n := range e.Failures {
			failures += n
		}
		gap = max(gap, e.LongestGapSeconds)
	}
	caught := r.reached["caught-up"]
	_, most, switched := evidence.Switch(r.Hops)
	back := r.Fault.Ended
	for _, rule := range r.Rules {
		saw, _ := evidence.Size(rule.Saw)
		switch rule.Name {
		case "maxFailures":
			if saw != float64(failures) {
				r.add("%d handshakes failed, the rule saw %v", failures, rule.Saw)
			}
		case "maxGap":
			if !near(saw, gap, slack) {
				r.add("the longest gap is %.3f s, the rule saw %v", gap, rule.Saw)
			}
		case "maxSwitch":
			if switched && !near(saw, most.Seconds(), slack) {
				r.add("the switch took %.3f s, the rule saw %v", most.Seconds(), rule.Saw)
			}
		case "maxDown":
			if down := back.Sub(r.Fault.Began).Seconds(); !back.IsZero() && !near(saw, down, slack) {
				r.add("%s was away for %.3f s, the rule saw %v", r.Fault.Part, down, rule.Saw)
			}
		case "maxCatchUp":
			if lag := caught.Sub(back).Seconds(); !back.IsZero() && !caught.IsZero() && !near(saw, lag, slack) {
				r.add("catching up took %.3f s, the rule saw %v", lag, rule.Saw)
			}
		}
	}
}
