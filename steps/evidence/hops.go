package evidence

import (
	"cmp"
	"slices"
	"time"
)

// A Hop is one point that the renewed certificate passed; or the beginning of
// the fault, Vault being unsealed in it, its end, and since when every probe
// shows the new certificate after it; or a stage of a new intermediate: made,
// shown to sign beside the old one, signing for all, the other
// certificates issued anew, the old one retired.
//
// Seen, NotYet, Created and Written are the observations; PlaceHops computes the
// other fields from them. Records of before that have Name and At alone, and At
// is when the run observed the hop.
type Hop struct {
	Name string `json:"name"` // asked, issuing, requested, approved, signed, secret, revision, first-on-wire, last-on-wire; fault, unsealed, restored, caught-up; made, overlap, took-over, reissued, retired

	// At is the latest and Earliest the first moment at which the hop can have
	// been passed, by the clock of the machine that ran the proof.
	At       time.Time `json:"at"`
	Earliest time.Time `json:"earliest,omitzero"`

	// Source is the origin of the time: run (it is exact), observed (a watch or a read
	// brought it), object (a time in the object is earlier) or effect (an effect of the hop
	// was there earlier).
	Source string `json:"source,omitempty"`

	// Order is "observed" if it is not known that this hop was passed after
	// the one before it in the list: that is only how the run observed them.
	Order string `json:"order,omitempty"`

	// Seen is when the run observed the hop. NotYet is when a read began that
	// found that it had not been passed.
	Seen   time.Time `json:"seen,omitzero"`
	NotYet time.Time `json:"notYet,omitzero"`

	// Created and Written are times in the object, in whole seconds of the API
	// server's clock: its creation was the hop; or the hop was written then or
	// before (the newest write of the fields' owner, from managedFields).
	Created time.Time `json:"created,omitzero"`
	Written time.Time `json:"written,omitzero"`
}

// The values of Hop.Source.
const (
	SourceRun      = "run"      // the run did it, or a probe saw it: At is exact
	SourceObserved = "observed" // when a watch or a read brought it
	SourceObject   = "object"   // a time in the object is before that
	SourceEffect   = "effect"   // an effect of the hop was there before that
)

// OrderObserved is the value of Hop.Order.
const OrderObserved = "observed"

// A Clock is how far the API server's clock is ahead of the clock of the machine
// that ran the proof, which can be negative. It is between Least and Most.
type Clock struct {
	Least float64 `json:"leastSeconds"`
	Most  float64 `json:"mostSeconds"`

	// Resolution is that of the times in objects; 0 if the clock is not known,
	// and then those times are not used.
	Resolution float64 `json:"resolutionSeconds"`
}

// Local returns the moments between which the API server's clock showed a time
// that is in an object.
func (c Clock) Local(at time.Time) (earliest, latest time.Time) {
	return at.Add(-span(c.Most)), at.Add(span(c.Resolution) - span(c.Least))
}

func span(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// causes are the hops without which there is no other, in an order in which
// each comes after its causes: cert-manager makes a request when the
// Certificate is Issuing, has it approved and signed, writes the Secret, and
// then counts the revision; the gateway has the certificate from the Secret.
var causes = []struct {
	hop  string
	from []string
}{
	{"made", nil},
	{"overlap", []string{"made"}},
	{"took-over", []string{"overlap"}},
	{"asked", []string{"took-over"}},
	{"issuing", []string{"asked"}},
	{"requested", []string{"issuing", "asked"}},
	{"approved", []string{"requested"}},
	{"signed", []string{"approved", "requested"}},
	{"secret", []string{"signed", "requested", "asked"}},
	{"fault", nil},
	{"unsealed", []string{"fault"}},
	{"restored", []string{"unsealed", "fault"}},
	{"revision", []string{"secret"}},
	{"first-on-wire", []string{"secret", "asked"}},
	{"last-on-wire", []string{"first-on-wire", "secret"}},
	{"caught-up", []string{"last-on-wire", "restored"}},
	{"reissued", []string{"secret"}},
	{"retired", []string{"reissued", "secret"}},
}

func rank(name string) int {
	for i, c := range causes {
		if c.hop == name {
			return i
		}
	}
	return len(causes)
}

// PlaceHops returns the hops of one rotation in their order, with At, Earliest,
// Source and Order computed from the other fields. No hop comes before its cause,
// however late a watch reported either.
//
// A hop was passed when the run did it or a probe saw it; else at the latest
// when it was observed, by a time in the object, or when an effect
// of it was there; and at the earliest after its cause, after a read that did
// not find it, and when an object that is the hop was created. Times in objects
// are not used if they contradict the run's observations: then the clocks differ from
// their measurement. A hop that was observed before a cause can have happened does
// not follow from it: it belongs to another renewal.
func PlaceHops(hops []Hop, clock Clock) []Hop {
	if clock.Resolution > 0 {
		if p := place(hops, clock); !p.contradictory {
			return p.hops
		}
	}
	return place(hops, Clock{}).hops
}

// A placement is the work of PlaceHops.
type placement struct {
	hops          []Hop
	follows       map[string]map[string]bool // hops, and the causes of each
	contradictory bool
}

func place(list []Hop, clock Clock) *placement {
	p := &placement{hops: slices.Clone(list), follows: make(map[string]map[string]bool)}
	slices.SortStableFunc(p.hops, func(a, b Hop) int { return cmp.Compare(rank(a.Name), rank(b.Name)) })
	at := make(map[string]*Hop)
	for i := range p.hops {
		h := &p.hops[i]
		h.own(clock)
		at[h.Name], p.follows[h.Name] = h, make(map[string]bool)
	}
	edges := make(map[string][]*Hop) // causes that apply
	for i := range p.hops {
		h := &p.hops[i]
		if rank(h.Name) == len(causes) {
			continue
		}
		for _, name := range causes[rank(h.Name)].from {
			cause := at[name]
			if cause == nil {
				continue
			}
			if h.At.Before(cause.Earliest) {
				p.contradictory = true
				continue
			}
			edges[h.Name] = append(edges[h.Name], cause)
			h.Earliest = later(h.Earliest, cause.Earliest)
			p.follows[h.Name][name] = true
			for indirect := range p.follows[name] {
				p.follows[h.Name][indirect] = true
			}
		}
	}
	for i := range p.hops {
		h := &p.hops[len(p.hops)-1-i]
		for _, cause := range edges[h.Name] {
			if cause.Source != SourceRun && h.At.Before(cause.At) {
				cause.At, cause.Source = h.At, SourceEffect
			}
		}
	}
	for i := range p.hops {
		h := &p.hops[i]
		if h.At.Before(h.Earliest) {
			p.contradictory = true
			h.Earliest = h.At
		}
	}
	p.sort()
	return p
}

// own places a hop by its own observations.
func (h *Hop) own(clock Clock) {
	h.At, h.Earliest, h.Order = h.Seen, h.NotYet, ""
	if h.Source == SourceRun {
		h.Earliest = h.Seen
		return
	}
	h.Source = SourceObserved
	if clock.Resolution == 0 {
		return
	}
	for _, stamp := range []time.Time{h.Created, h.Written} {
		if _, latest := clock.Local(stamp); !stamp.IsZero() && latest.Before(h.At) {
			h.At, h.Source = latest, SourceObject
		}
	}
	if !h.Created.IsZero() {
		earliest, _ := clock.Local(h.Created)
		h.Earliest = later(h.Earliest, earliest)
	}
}

// sort brings the hops into their order and marks those whose order is only observed.
func (p *placement) sort() {
	slices.SortStableFunc(p.hops, func(a, b Hop) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(rank(a.Name), rank(b.Name)))
	})
	for i := 1; i < len(p.hops); i++ {
		before, h := p.hops[i-1], &p.hops[i]
		if !p.follows[h.Name][before.Name] && h.Earliest.Before(before.At) {
			h.Order = OrderObserved
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Switch returns how long a rotation's switch took: as it was observed, from the
// latest moment at which the Secret can have been written until the last address
// showed only the new certificate; and at most, from the earliest such moment. ok is
// false without a switch.
func Switch(hops []Hop) (observed, most time.Duration, ok bool) {
	at := make(map[string]Hop)
	for _, h := range hops {
		at[h.Name] = h
	}
	secret, wire := at["secret"], at["last-on-wire"]
	if secret.At.IsZero() || wire.At.IsZero() {
		return 0, 0, false
	}
	observed = max(wire.At.Sub(secret.At), 0)
	if secret.Earliest.IsZero() {
		return observed, observed, true
	}
	return observed, max(wire.At.Sub(secret.Earliest), observed), true
}
