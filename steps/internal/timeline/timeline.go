// Package timeline places the milestones of a certificate's rotation in time.
//
// Watches deliver late, twice, or the last state alone. A milestone is therefore
// placed by cause, by the times in the objects and by reads that did not find its
// result yet; [evidence.PlaceHops] has the rules. In the evidence a milestone is
// called a hop.
package timeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
)

// A Milestone is a stage of a new certificate on its way to the wire, by its name
// in the evidence. String returns the name for people.
type Milestone string

// The milestones of a renewal.
const (
	Asked       Milestone = "asked"
	Issuing     Milestone = "issuing"
	Created     Milestone = "requested"
	Approved    Milestone = "approved"
	Signed      Milestone = "signed"
	Secret      Milestone = "secret"
	Revision    Milestone = "revision"
	FirstServed Milestone = "first-on-wire"
	LastServed  Milestone = "last-on-wire"
)

// The milestones of a disruption. They lie between the others, or before them.
const (
	Disrupted Milestone = "fault"
	Unsealed  Milestone = "unsealed"
	Restored  Milestone = "restored"
	CaughtUp  Milestone = "caught-up"
)

// The milestones of a new intermediate: the first three lie before the renewal is
// asked for, the others after the new certificate has arrived.
const (
	Made     Milestone = "made"
	Overlap  Milestone = "overlap"
	TookOver Milestone = "took-over"
	Reissued Milestone = "reissued"
	Retired  Milestone = "retired"
)

func (m Milestone) String() string {
	switch m {
	case Created:
		return "request created"
	case Approved:
		return "request approved"
	case Signed:
		return "request ready"
	case Secret:
		return "secret written"
	case Revision:
		return "revision counted"
	case FirstServed:
		return "first on the wire"
	case LastServed:
		return "all on the wire"
	case Disrupted:
		return "restart begun"
	case Restored:
		return "restart over"
	case CaughtUp:
		return "caught up"
	case Made:
		return "new intermediate made"
	case Overlap:
		return "old and new one sign"
	case TookOver:
		return "new one signs for all"
	case Reissued:
		return "others issued anew"
	case Retired:
		return "old one retired"
	default:
		return string(m)
	}
}

// watched reports whether the milestone is known from objects of the cluster. The
// others are known from the run itself and its probes.
func (m Milestone) watched() bool {
	return slices.Contains([]Milestone{Issuing, Created, Approved, Signed, Secret, Revision}, m)
}

// A Timeline records the observations of the milestones of one rotation and places
// them as evidence.PlaceHops does.
type Timeline struct {
	// Start is the moment that the lines count from. With FromFirst they count
	// from the first milestone.
	Start     time.Time
	FromFirst bool

	clock  evidence.Clock // of the API server
	facts  map[Milestone]fact
	placed []fact // nil when a fact is newer
}

// A fact is the observation of a milestone.
type fact struct {
	evidence.Hop
	note string
}

// Clock returns the bounds of the API server's clock by which milestones are placed.
func (t *Timeline) Clock() evidence.Clock { return t.clock }

// SetClock places the milestones by closer bounds of the API server's clock.
func (t *Timeline) SetClock(c evidence.Clock) {
	if c != t.clock {
		t.clock, t.placed = c, nil
	}
}

// Observed returns the observation of a milestone; the zero value without one.
func (t *Timeline) Observed(m Milestone) evidence.Hop { return t.facts[m].Hop }

// Mark records a milestone, unless it was reached before.
func (t *Timeline) Mark(m Milestone, at time.Time, note string) {
	if _, ok := t.facts[m]; !ok {
		t.Set(m, evidence.Hop{Seen: at}, note)
	}
}

// Set records a milestone or replaces its observation. It does nothing without the
// time at which it was seen.
func (t *Timeline) Set(m Milestone, seen evidence.Hop, note string) {
	if seen.Seen.IsZero() {
		return
	}
	seen.Name, seen.Seen = string(m), seen.Seen.Round(0)
	if !m.watched() {
		seen.Source = evidence.SourceRun
	}
	if t.facts == nil {
		t.facts = make(map[Milestone]fact)
	}
	if one := (fact{seen, note}); t.facts[m] != one {
		t.facts[m], t.placed = one, nil
	}
}

// Drop removes a milestone that does not belong to the certificate.
func (t *Timeline) Drop(m Milestone) {
	if _, ok := t.facts[m]; ok {
		delete(t.facts, m)
		t.placed = nil
	}
}

// When returns the latest moment at which a milestone can have been reached; false
// if it was not.
func (t *Timeline) When(m Milestone) (time.Time, bool) {
	for _, f := range t.sorted() {
		if f.Name == string(m) {
			return f.At, true
		}
	}
	return time.Time{}, false
}

// Earliest returns the earliest moment at which a milestone can have been reached;
// zero if that is not known.
func (t *Timeline) Earliest(m Milestone) time.Time {
	for _, f := range t.sorted() {
		if f.Name == string(m) {
			return f.Earliest
		}
	}
	return time.Time{}
}

// Between renders the milestones before and after a moment, as far as they are
// known by then.
func (t *Timeline) Between(when time.Time) string {
	after, before := "", ""
	for _, f := range t.sorted() {
		if f.At.After(when) {
			before = fmt.Sprintf("%s before %s", f.At.Sub(when).Round(time.Millisecond), Milestone(f.Name))
			break
		}
		after = fmt.Sprintf("%s after %s", when.Sub(f.At).Round(time.Millisecond), Milestone(f.Name))
	}
	switch {
	case after == "" && before == "":
		return "before the renewal"
	case after == "" || before == "":
		return after + before
	}
	return after + " and " + before
}

// Last returns the milestone that was reached last, "" if there is none.
func (t *Timeline) Last() Milestone {
	sorted := t.sorted()
	if len(sorted) == 0 {
		return ""
	}
	return Milestone(sorted[len(sorted)-1].Name)
}

// sorted returns the milestones as they are placed.
func (t *Timeline) sorted() []fact {
	if t.placed != nil {
		return t.placed
	}
	t.placed = make([]fact, 0, len(t.facts))
	for _, h := range t.Record() {
		t.placed = append(t.placed, fact{h, t.facts[Milestone(h.Name)].note})
	}
	return t.placed
}

// Begin returns the moment that the lines count from.
func (t *Timeline) Begin() time.Time {
	if sorted := t.sorted(); t.FromFirst && len(sorted) > 0 {
		return sorted[0].At
	}
	return t.Start
}

// Record returns the placed milestones for the evidence of a run.
func (t *Timeline) Record() []evidence.Hop {
	list := make([]evidence.Hop, 0, len(t.facts))
	for _, f := range t.facts {
		list = append(list, f.Hop)
	}
	return evidence.PlaceHops(list, t.clock)
}

// String renders the timeline in one line, with the time that each milestone took after the
// one before and all of them together: "asked → 14ms issuing → 120ms request created
// (134ms)".
func (t *Timeline) String() string {
	var b strings.Builder
	sorted := t.sorted()
	if len(sorted) == 0 {
		return "none"
	}
	for i, f := range sorted {
		if i > 0 {
			fmt.Fprintf(&b, " → %s ", f.At.Sub(sorted[i-1].At).Round(time.Millisecond))
		}
		b.WriteString(Milestone(f.Name).String())
		if f.Order == evidence.OrderObserved {
			b.WriteString(" (as observed)")
		}
	}
	fmt.Fprintf(&b, " (%s)", sorted[len(sorted)-1].At.Sub(sorted[0].At).Round(time.Millisecond))
	return b.String()
}

// Lines renders the timeline, a line per milestone, with how much earlier it can
// have been and the source of its place.
func (t *Timeline) Lines() []string {
	sorted := t.sorted()
	lines := make([]string, len(sorted))
	for i, f := range sorted {
		lines[i] = fmt.Sprintf("%+.3fs %s", f.At.Sub(t.Begin()).Seconds(), Milestone(f.Name))
		var notes []string
		if f.note != "" {
			notes = append(notes, f.note)
		}
		if early := f.At.Sub(f.Earliest).Round(time.Millisecond); early > 0 && !f.Earliest.IsZero() {
			notes = append(notes, fmt.Sprintf("up to %s earlier", early))
		}
		if f.Source == evidence.SourceObject {
			notes = append(notes, "by the object's time")
		}
		if f.Order == evidence.OrderObserved {
			notes = append(notes, "order as observed")
		}
		if notes != nil {
			lines[i] += " (" + strings.Join(notes, ", ") + ")"
		}
	}
	return lines
}
