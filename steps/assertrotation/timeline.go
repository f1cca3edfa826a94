package assertrotation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
)

// A hop is a station of a new certificate on its way to the wire, by its name in
// the evidence. String returns the name for people.
type hop string

// The hops of a renewal.
const (
	hopAsked       hop = "asked"
	hopIssuing     hop = "issuing"
	hopCreated     hop = "requested"
	hopApproved    hop = "approved"
	hopSigned      hop = "signed"
	hopSecret      hop = "secret"
	hopRevision    hop = "revision"
	hopFirstServed hop = "first-on-wire"
	hopLastServed  hop = "last-on-wire"
)

// The hops of a fault. They lie between the others, or before them.
const (
	hopFault    hop = "fault"
	hopUnsealed hop = "unsealed"
	hopRestored hop = "restored"
	hopCaughtUp hop = "caught-up"
)

// The hops of a new intermediate: the first three lie before the renewal is asked
// for, the others after the new certificate has arrived.
const (
	hopMade     hop = "made"
	hopOverlap  hop = "overlap"
	hopTookOver hop = "took-over"
	hopReissued hop = "reissued"
	hopRetired  hop = "retired"
)

func (h hop) String() string {
	switch h {
	case hopCreated:
		return "request created"
	case hopApproved:
		return "request approved"
	case hopSigned:
		return "request ready"
	case hopSecret:
		return "secret written"
	case hopRevision:
		return "revision counted"
	case hopFirstServed:
		return "first on the wire"
	case hopLastServed:
		return "all on the wire"
	case hopFault:
		return "restart begun"
	case hopRestored:
		return "restart over"
	case hopCaughtUp:
		return "caught up"
	case hopMade:
		return "new intermediate made"
	case hopOverlap:
		return "old and new one sign"
	case hopTookOver:
		return "new one signs for all"
	case hopReissued:
		return "others issued anew"
	case hopRetired:
		return "old one retired"
	default:
		return string(h)
	}
}

// watched reports whether the hop is known from objects of the cluster. The
// others are what the run does itself or its probes see.
func (h hop) watched() bool {
	return slices.Contains([]hop{hopIssuing, hopCreated, hopApproved, hopSigned, hopSecret, hopRevision}, h)
}

// A timeline records what was observed of the hops of one rotation, and places
// them as evidence.PlaceHops does.
type timeline struct {
	start time.Time
	clock evidence.Clock // of the API server
	facts map[hop]fact

	// fromFirst says that the rotation begins with its first hop, since it was
	// only waited for.
	fromFirst bool
	sorts     []fact // placed; nil when a fact is newer
}

// A fact is what was observed of a hop.
type fact struct {
	evidence.Hop
	note string
}

// mark records a hop, unless it was reached before.
func (t *timeline) mark(h hop, at time.Time, note string) {
	if _, ok := t.facts[h]; !ok {
		t.set(h, evidence.Hop{Seen: at}, note)
	}
}

// set records a hop, also anew.
func (t *timeline) set(h hop, seen evidence.Hop, note string) {
	seen.Name, seen.Seen = string(h), seen.Seen.Round(0)
	if !h.watched() {
		seen.Source = evidence.SourceRun
	}
	if t.facts == nil {
		t.facts = make(map[hop]fact)
	}
	if one := (fact{seen, note}); t.facts[h] != one {
		t.facts[h], t.sorts = one, nil
	}
}

// drop removes a hop: it does not belong to this certificate.
func (t *timeline) drop(h hop) {
	if _, ok := t.facts[h]; ok {
		delete(t.facts, h)
		t.sorts = nil
	}
}

// when returns the latest moment at which a hop can have been reached; false if
// it was not.
func (t *timeline) when(h hop) (time.Time, bool) {
	for _, f := range t.sorted() {
		if f.Name == string(h) {
			return f.At, true
		}
	}
	return time.Time{}, false
}

// at says between which hops a moment lies, as far as they are known by then.
func (t *timeline) at(when time.Time) string {
	after, before := "", ""
	for _, f := range t.sorted() {
		if f.At.After(when) {
			before = fmt.Sprintf("%s before %s", f.At.Sub(when).Round(time.Millisecond), hop(f.Name))
			break
		}
		after = fmt.Sprintf("%s after %s", when.Sub(f.At).Round(time.Millisecond), hop(f.Name))
	}
	switch {
	case after == "" && before == "":
		return "before the renewal"
	case after == "" || before == "":
		return after + before
	}
	return after + " and " + before
}

// last returns the hop that was reached last.
func (t *timeline) last() hop {
	sorted := t.sorted()
	if len(sorted) == 0 {
		return ""
	}
	return hop(sorted[len(sorted)-1].Name)
}

// sorted returns the hops as they are placed.
func (t *timeline) sorted() []fact {
	if t.sorts != nil {
		return t.sorts
	}
	t.sorts = make([]fact, 0, len(t.facts))
	for _, h := range t.record() {
		t.sorts = append(t.sorts, fact{h, t.facts[hop(h.Name)].note})
	}
	return t.sorts
}

// begin returns the moment that the lines count from.
func (t *timeline) begin() time.Time {
	if sorted := t.sorted(); t.fromFirst && len(sorted) > 0 {
		return sorted[0].At
	}
	return t.start
}

// record renders the timeline for the evidence of a run.
func (t *timeline) record() []evidence.Hop {
	list := make([]evidence.Hop, 0, len(t.facts))
	for _, f := range t.facts {
		list = append(list, f.Hop)
	}
	return evidence.PlaceHops(list, t.clock)
}

// hops renders the timeline in one line, with what each hop took after the one
// before and in all: "asked → 14ms issuing → 120ms request created (134ms)".
func (t *timeline) hops() string {
	var b strings.Builder
	sorted := t.sorted()
	if len(sorted) == 0 {
		return "none"
	}
	for i, f := range sorted {
		if i > 0 {
			fmt.Fprintf(&b, " → %s ", f.At.Sub(sorted[i-1].At).Round(time.Millisecond))
		}
		b.WriteString(hop(f.Name).String())
		if f.Order == evidence.OrderObserved {
			b.WriteString(" (as observed)")
		}
	}
	fmt.Fprintf(&b, " (%s)", sorted[len(sorted)-1].At.Sub(sorted[0].At).Round(time.Millisecond))
	return b.String()
}

// lines renders the timeline, a line per hop, with how much earlier it can have
// been and what its place is known from.
func (t *timeline) lines() []string {
	sorted := t.sorted()
	lines := make([]string, len(sorted))
	for i, f := range sorted {
		lines[i] = fmt.Sprintf("%+.3fs %s", f.At.Sub(t.begin()).Seconds(), hop(f.Name))
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
