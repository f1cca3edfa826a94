package assertrotation

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A record sums up the samples of one rotation. It belongs to one goroutine.
type record struct {
	began    time.Time
	attempts int
	failures map[tlskit.Class]int
	newest   map[tlskit.Class]*tlskit.Failure // per class
	series   []*series                        // per endpoint that clients use
	looks    []*series                        // per pod that is looked at by itself
	groups   []*group                         // of what the doubt counts together
	target   string                           // fingerprint of the certificate that it counts for
}

// all returns the series of the addresses and of the pods.
func (r *record) all() []*series { return slices.Concat(r.series, r.looks) }

// at returns the series with an index: those of the addresses come first.
func (r *record) at(i int) *series {
	if i < len(r.series) {
		return r.series[i]
	}
	return r.looks[i-len(r.series)]
}

// A series is what one address showed.
type series struct {
	name     string
	attempts int
	failures int
	classes  map[tlskit.Class]int // of the failures
	failure  *tlskit.Failure      // the newest

	// spoken counts the handshakes by version of HTTP, as ALPN calls it.
	spoken map[string]int

	// shown counts the handshakes by fingerprint; seen has the certificates.
	shown map[string]int
	seen  map[string]*sighting

	// current is what the newest handshake showed, since when no other one was
	// shown, and run how often that was seen in a row without a failed probe.
	current *x509.Certificate
	since   time.Time
	run     int
	row     time.Time // when the first of them was seen

	trace    *trace          // every probe
	lastGood time.Time       // start of the newest successful probe
	began    time.Time       // start of the first probe
	gap      time.Duration   // the longest time without a successful probe
	gapFrom  time.Time       // and its beginning
	refused  *tlskit.Failure // the newest, of a pod that is looked at by itself
}

// A sighting is a certificate on the wire.
type sighting struct {
	cert            *x509.Certificate
	chain, verified []*x509.Certificate // as it was sent, and up to the trusted root
	first, last     time.Time
}

// newRecord returns an empty record that begins now; limit is how long a probe
// may take.
func newRecord(endpoints []tlskit.Endpoint, limit time.Duration, now time.Time) *record {
	r := &record{
		began:    now,
		failures: make(map[tlskit.Class]int),
		newest:   make(map[tlskit.Class]*tlskit.Failure),
		series:   make([]*series, len(endpoints)),
	}
	for i, e := range endpoints {
		r.series[i] = newSeries(e.String(), limit)
	}
	return r
}

func newSeries(name string, limit time.Duration) *series {
	return &series{name: name, spoken: make(map[string]int), shown: make(map[string]int), seen: make(map[string]*sighting), trace: newTrace(limit)}
}

// restart returns an empty record that goes on where this one ends: what each
// address shows at present stays known, everything else is counted anew.
func (r *record) restart(now time.Time) *record {
	next := &record{
		began:    now,
		failures: make(map[tlskit.Class]int),
		newest:   make(map[tlskit.Class]*tlskit.Failure),
		series:   make([]*series, len(r.series)),
	}
	for i, s := range r.series {
		next.series[i] = s.restart()
		next.series[i].lastGood, next.series[i].began = s.lastGood, s.lastGood
	}
	for _, s := range r.looks {
		next.looks = append(next.looks, s.restart())
	}
	for _, g := range r.groups {
		next.groups = append(next.groups, &group{name: g.name, members: g.members, servers: g.servers, look: g.look, gone: g.gone, waving: g.waving})
	}
	return next
}

func (s *series) restart() *series {
	next := newSeries(s.name, s.trace.limit)
	next.current, next.run, next.since, next.row = s.current, s.run, s.since, s.row
	return next
}

// add takes a sample in. Samples of one address arrive as they end, so that a
// slow probe with the old certificate interrupts a row of new ones: rightly,
// because its client did see the old one.
func (r *record) add(s sample) {
	one := r.at(s.endpoint)
	one.attempts++
	if one.began.IsZero() {
		one.began = s.start
	}
	client := s.endpoint < len(r.series)
	if client {
		r.attempts++
	}
	probe := run{first: s.start.Sub(r.began), took: s.total, count: 1}
	if s.leaf != nil {
		one.spoken[cmp.Or(s.protocol, tlskit.HTTP1)]++ // without ALPN it is that
		print := one.show(s)
		if s.failure == nil {
			probe.cert, probe.took = print, s.handshake
		} else {
			probe.shown = print
		}
	}
	if s.failure != nil {
		probe.class = s.failure.Record()
	}
	one.trace.add(probe)
	for _, g := range r.groups {
		if slices.Contains(g.members, s.endpoint) {
			g.add(r, probe)
		}
	}
	if s.failure != nil && !client {
		one.failures++
		one.run = 0
		one.refused = s.failure
		return
	}
	if s.failure != nil {
		r.failures[s.failure.Class]++
		r.newest[s.failure.Class] = s.failure
		one.failures++
		if one.classes == nil {
			one.classes = make(map[tlskit.Class]int)
		}
		one.classes[s.failure.Class]++
		one.failure = s.failure
		one.run = 0
		return
	}
	since := one.lastGood
	if since.IsZero() {
		since = one.began
	}
	if s.start.After(since) {
		if gap := s.start.Sub(since); gap > one.gap {
			one.gap, one.gapFrom = gap, since
		}
		one.lastGood = s.start
	}
	if one.lastGood.IsZero() {
		one.lastGood = s.start
	}
}

// show takes in what a probe was shown and returns its fingerprint.
func (s *series) show(p sample) string {
	leaf, at := p.leaf, p.shown()
	f := tlskit.Fingerprint(leaf)
	s.shown[f]++
	g := s.seen[f]
	if g == nil {
		g = &sighting{cert: leaf, chain: p.chain, verified: p.verified, first: at, last: at}
		s.seen[f] = g
	}
	if at.Before(g.first) {
		g.first = at
	}
	if at.After(g.last) {
		g.last = at
	}
	if s.current == nil || !s.current.Equal(leaf) {
		s.current, s.run, s.since = leaf, 0, at
	}
	if s.run++; s.run == 1 {
		s.row = at
	}
	return f
}

// onTheWire returns the serials that the addresses show at present, each once;
// nil if there is none.
func (r *record) onTheWire() any {
	var list []string
	for _, s := range r.series {
		if s.current != nil && !slices.Contains(list, tlskit.Serial(s.current)) {
			list = append(list, tlskit.Serial(s.current))
		}
	}
	if len(list) == 0 {
		return nil
	}
	return strings.Join(list, ", ")
}

// versions counts the handshakes by version of HTTP: "27 over h2, 26 over
// http/1.1".
func (r *record) versions() string {
	all := make(map[string]int)
	for _, s := range r.series {
		for version, n := range s.spoken {
			all[version] += n
		}
	}
	var parts []string
	for _, version := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, fmt.Sprintf("%d over %s", all[version], version))
	}
	return strings.Join(parts, ", ")
}

// failed returns how many probes failed.
func (r *record) failed() int {
	n := 0
	for _, c := range r.failures {
		n += c
	}
	return n
}

// longestGap returns the longest time that any address was without a
// successful probe, up to now, when that began, and the address.
func (r *record) longestGap(now time.Time) (most time.Duration, from time.Time, name string) {
	for _, s := range r.series {
		gap, begun := s.gap, s.gapFrom
		since := s.lastGood
		if since.IsZero() {
			since = s.began
		}
		if open := now.Sub(since); !since.IsZero() && open > gap {
			gap, begun = open, since
		}
		if gap > most {
			most, from, name = gap, begun, s.name
		}
	}
	return most, from, name
}

// print returns the fingerprint of what the newest handshake showed.
func (s *series) print() string { return tlskit.Fingerprint(s.current) }

// settled reports whether every address has shown cert, and nothing else, in
// its newest n handshakes, all of them successful, and a server that does not
// show it would have been seen but for the chance of limit.
func (r *record) settled(cert *x509.Certificate, probe Probe) bool {
	return cert != nil && r.target == tlskit.Fingerprint(cert) &&
		len(r.stragglers(cert, probe.ConsecutiveNew)) == 0 && len(r.doubtful(probe.MaxDoubt)) == 0
}

// stragglers lists the addresses that have not shown cert n times in a row.
func (r *record) stragglers(cert *x509.Certificate, n int) []*series {
	var list []*series
	for _, s := range r.series {
		if s.current == nil || !s.current.Equal(cert) || s.run < n {
			list = append(list, s)
		}
	}
	for _, g := range r.groups {
		// What a pod shows alone; how often is a matter of the doubt.
		if s := r.at(g.members[0]); g.look && !g.gone && s.attempts > 0 && (s.current == nil || !s.current.Equal(cert)) {
			list = append(list, s)
		}
	}
	return list
}

// firstSight returns when and where cert was first on the wire; zero if it never
// was.
func (r *record) firstSight(cert *x509.Certificate) (at time.Time, name string) {
	for _, s := range r.series {
		if g := s.seen[tlskit.Fingerprint(cert)]; g != nil && (at.IsZero() || g.first.Before(at)) {
			at, name = g.first, s.name
		}
	}
	return at, name
}

// lastSwitch returns since when every address shows nothing but what it shows
// at present, and which address was the last to change.
func (r *record) lastSwitch() (at time.Time, name string) {
	for _, s := range r.series {
		if s.since.After(at) {
			at, name = s.since, s.name
		}
	}
	for _, g := range r.groups {
		// A pod that was looked at later than it changed over says nothing.
		if s := r.at(g.members[0]); g.look && !g.gone && len(s.seen) > 1 && s.since.After(at) {
			at, name = s.since, s.name
		}
	}
	return at, name
}

// lastRow returns since when every address shows what it shows at present
// without a failed probe.
func (r *record) lastRow() (at time.Time, name string) {
	for _, s := range r.series {
		if s.row.After(at) {
			at, name = s.row, s.name
		}
	}
	return at, name
}
