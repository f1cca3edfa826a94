package assertrotation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine/evidence"
)

// A hop is a station of a new certificate on its way to the wire.
type hop string

// The hops, in the order in which they are reached, except that the wire can be
// ahead of what the watch tells.
const (
	hopAsked       hop = "asked"
	hopIssuing     hop = "issuing"
	hopCreated     hop = "request created"
	hopApproved    hop = "request approved"
	hopSigned      hop = "request ready"
	hopSecret      hop = "secret written"
	hopRevision    hop = "revision counted"
	hopFirstServed hop = "first on the wire"
	hopLastServed  hop = "all on the wire"
)

// The hops of a fault. They lie between the others, or before them.
const (
	hopFault    hop = "restart begun"
	hopUnsealed hop = "unsealed"
	hopRestored hop = "restart over"
	hopCaughtUp hop = "caught up"
)

// The hops of a new intermediate: the first three lie before the renewal is asked
// for, the others after the new certificate has arrived.
const (
	hopMade     hop = "new intermediate made"
	hopOverlap  hop = "old and new one sign"
	hopTookOver hop = "new one signs for all"
	hopReissued hop = "others issued anew"
	hopRetired  hop = "old one retired"
)

// rank orders the hops that were reached at the same moment.
func (h hop) rank() int {
	return slices.Index([]hop{
		hopMade, hopOverlap, hopTookOver, hopAsked, hopIssuing, hopCreated, hopApproved, hopUnsealed, hopRestored, hopSigned, hopSecret, hopFault, hopRevision, hopFirstServed, hopLastServed, hopCaughtUp, hopReissued, hopRetired,
	}, h)
}

// A timeline records when the hops of one rotation were first reached.
type timeline struct {
	start   time.Time
	entries []entry
}

type entry struct {
	hop  hop
	at   time.Time
	note string
}

// mark records a hop, unless it was reached before, and reports whether it was
// new.
func (t *timeline) mark(h hop, at time.Time, note string) bool {
	if _, ok := t.when(h); ok {
		return false
	}
	t.entries = append(t.entries, entry{h, at, note})
	return true
}

// move records a hop anew: it was reached later than it seemed.
func (t *timeline) move(h hop, at time.Time, note string) {
	for i := range t.entries {
		if t.entries[i].hop == h {
			t.entries[i] = entry{h, at, note}
			return
		}
	}
	t.mark(h, at, note)
}

func (t *timeline) when(h hop) (time.Time, bool) {
	for _, e := range t.entries {
		if e.hop == h {
			return e.at, true
		}
	}
	return time.Time{}, false
}

// at says which hop was reached last before a moment, and how long before.
func (t *timeline) at(when time.Time) string {
	text := "before the renewal"
	for i, e := range t.sorted() {
		if e.at.After(when) {
			if i == 0 {
				text = fmt.Sprintf("%s before %s", e.at.Sub(when).Round(time.Millisecond), e.hop)
			}
			break
		}
		text = fmt.Sprintf("%s after %s", when.Sub(e.at).Round(time.Millisecond), e.hop)
	}
	return text
}

// last returns the hop that was reached last in time.
func (t *timeline) last() hop {
	var newest entry
	for _, e := range t.entries {
		if newest.hop == "" || !e.at.Before(newest.at) {
			newest = e
		}
	}
	return newest.hop
}

// recorded maps the hops to their names in the evidence of a run.
func (h hop) recorded() string {
	switch h {
	case hopCreated:
		return "requested"
	case hopApproved:
		return "approved"
	case hopSigned:
		return "signed"
	case hopSecret:
		return "secret"
	case hopRevision:
		return "revision"
	case hopFirstServed:
		return "first-on-wire"
	case hopLastServed:
		return "last-on-wire"
	case hopFault:
		return "fault"
	case hopRestored:
		return "restored"
	case hopCaughtUp:
		return "caught-up"
	case hopMade:
		return "made"
	case hopOverlap:
		return "overlap"
	case hopTookOver:
		return "took-over"
	case hopReissued:
		return "reissued"
	case hopRetired:
		return "retired"
	default:
		return string(h)
	}
}

// sorted returns the entries in the order of time: the wire can be ahead of the
// watch.
func (t *timeline) sorted() []entry {
	return slices.SortedStableFunc(slices.Values(t.entries), func(a, b entry) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.hop.rank(), b.hop.rank()))
	})
}

// record renders the timeline for the evidence of a run.
func (t *timeline) record() []evidence.Hop {
	hops := []evidence.Hop{}
	for _, e := range t.sorted() {
		hops = append(hops, evidence.Hop{Name: e.hop.recorded(), At: e.at})
	}
	return hops
}

// hops renders the timeline in one line, with what each hop took after the one
// before and in all: "asked → 14ms issuing → 120ms request created (134ms)".
func (t *timeline) hops() string {
	var b strings.Builder
	entries := t.sorted()
	if len(entries) == 0 {
		return "none"
	}
	for i, e := range entries {
		if i > 0 {
			fmt.Fprintf(&b, " → %s ", e.at.Sub(entries[i-1].at).Round(time.Millisecond))
		}
		b.WriteString(string(e.hop))
	}
	fmt.Fprintf(&b, " (%s)", entries[len(entries)-1].at.Sub(entries[0].at).Round(time.Millisecond))
	return b.String()
}

// lines renders the timeline, a line per hop, in the order of time.
func (t *timeline) lines() []string {
	sorted := t.sorted()
	lines := make([]string, len(sorted))
	for i, e := range sorted {
		lines[i] = fmt.Sprintf("%+.3fs %s", e.at.Sub(t.start).Seconds(), e.hop)
		if e.note != "" {
			lines[i] += " (" + e.note + ")"
		}
	}
	return lines
}
