package probe

import (
	"cmp"
	"crypto/x509"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// Limits are the conditions of a settled record.
type Limits struct {
	// ConsecutiveNew is how many handshakes in a row must show the certificate
	// at each address.
	ConsecutiveNew int

	// MaxDoubt is the largest acceptable chance that a stale server was missed.
	MaxDoubt float64

	// Timeout is how long one probe may take.
	Timeout time.Duration
}

// A Record sums up the samples of one rotation. It belongs to one goroutine.
type Record struct {
	Began    time.Time
	Attempts int // ended probes of addresses

	limits    Limits
	servers   Servers
	endpoints []tlskit.Endpoint // of the addresses, then of the pods
	addresses []*Series
	pods      []*Series // pods behind the Service that are probed one by one
	groups    []*group  // whose handshakes the doubt counts together
	target    string    // fingerprint of the certificate that the doubt counts for
	failures  map[tlskit.Class]int
	newest    map[tlskit.Class]*tlskit.Failure
	clients   Clients
}

// NewRecord returns an empty record that begins now.
func NewRecord(endpoints []tlskit.Endpoint, servers Servers, limits Limits, now time.Time) *Record {
	r := &Record{
		Began:     now,
		limits:    limits,
		endpoints: slices.Clone(endpoints),
		failures:  make(map[tlskit.Class]int),
		newest:    make(map[tlskit.Class]*tlskit.Failure),
	}
	for _, e := range endpoints {
		r.addresses = append(r.addresses, newSeries(e.String(), limits.Timeout))
	}
	r.groups = addressGroups(r.addresses, servers.Apart)
	r.Regroup(servers)
	return r
}

// Restart returns an empty record that goes on where this one ends: the present
// certificate of each address stays known, everything else is counted anew.
func (r *Record) Restart(now time.Time) *Record {
	next := &Record{
		Began:     now,
		limits:    r.limits,
		servers:   r.servers,
		endpoints: r.endpoints,
		failures:  make(map[tlskit.Class]int),
		newest:    make(map[tlskit.Class]*tlskit.Failure),
	}
	for _, s := range r.addresses {
		one := s.restart()
		one.lastGood, one.began = s.lastGood, s.lastGood
		next.addresses = append(next.addresses, one)
	}
	for _, s := range r.pods {
		next.pods = append(next.pods, s.restart())
	}
	for _, g := range r.groups {
		next.groups = append(next.groups, &group{name: g.name, members: g.members, servers: g.servers, pod: g.pod, gone: g.gone, waving: g.waving})
	}
	return next
}

// Close ends the record: no sample is added any more.
func (r *Record) Close() {
	for _, s := range r.addresses {
		s.trace.close(math.MaxInt64)
	}
}

// Addresses returns the series of the addresses.
func (r *Record) Addresses() []*Series { return r.addresses }

// all returns the series of the addresses and of the pods.
func (r *Record) all() []*Series { return slices.Concat(r.addresses, r.pods) }

// at returns the series with an index: those of the addresses come first.
func (r *Record) at(i int) *Series {
	if i < len(r.addresses) {
		return r.addresses[i]
	}
	return r.pods[i-len(r.addresses)]
}

// A Series sums up the probes of one address or pod.
type Series struct {
	Name     string
	Attempts int
	Failures int

	// Shown counts the handshakes by fingerprint.
	Shown map[string]int

	// Current is the certificate of the newest handshake, and Since is when it
	// was first shown without another one after it.
	Current *x509.Certificate
	Since   time.Time

	classes  map[tlskit.Class]int // of the failures
	failure  *tlskit.Failure      // the newest
	refused  *tlskit.Failure      // the newest of a pod
	versions map[string]int       // handshakes by version of HTTP, as ALPN calls it
	seen     map[string]*sighting // by fingerprint

	run      int       // handshakes in a row that showed Current, without a failed probe between
	row      time.Time // when the first of them was seen
	trace    *trace
	began    time.Time     // start of the first probe
	lastGood time.Time     // start of the newest successful probe
	gap      time.Duration // the longest time without a successful probe
	gapFrom  time.Time     // and its beginning
}

// A sighting is a certificate that was shown.
type sighting struct {
	cert            *x509.Certificate
	chain, verified []*x509.Certificate // as it was sent, and up to the trusted root
	first, last     time.Time
}

func newSeries(name string, timeout time.Duration) *Series {
	return &Series{Name: name, Shown: make(map[string]int), versions: make(map[string]int), seen: make(map[string]*sighting), trace: newTrace(timeout)}
}

func (s *Series) restart() *Series {
	next := newSeries(s.Name, s.trace.limit)
	next.Current, next.Since, next.run, next.row = s.Current, s.Since, s.run, s.row
	return next
}

// Add counts a sample. Samples of one address arrive as they end, so that a slow
// probe with the old certificate interrupts a row of new ones: rightly, because
// its client did see the old one.
func (r *Record) Add(s Sample) {
	one := r.at(s.Endpoint)
	address := s.Endpoint < len(r.addresses)
	one.Attempts++
	r.clients.add(s)
	if one.began.IsZero() {
		one.began = s.Start
	}
	if address {
		r.Attempts++
	}
	probe := run{first: s.Start.Sub(r.Began), took: s.Total, count: 1}
	if s.Leaf != nil {
		one.versions[cmp.Or(s.Protocol, tlskit.HTTP1)]++ // without ALPN it is that
		print := one.show(s)
		if s.Failure == nil {
			probe.cert, probe.took = print, s.Handshake
		} else {
			probe.shown = print
		}
	}
	if s.Failure != nil {
		probe.class = s.Failure.Record()
	}
	one.trace.add(probe)
	for _, g := range r.groups {
		if slices.Contains(g.members, s.Endpoint) {
			g.add(r, probe)
		}
	}
	switch {
	case s.Failure == nil:
		one.succeeded(s.Start)
	case address:
		r.failures[s.Failure.Class]++
		r.newest[s.Failure.Class] = s.Failure
		one.failed(s.Failure)
		one.failure = s.Failure
	default:
		one.failed(s.Failure)
		one.refused = s.Failure
	}
}

func (s *Series) failed(f *tlskit.Failure) {
	s.Failures++
	s.run = 0
	if s.classes == nil {
		s.classes = make(map[tlskit.Class]int)
	}
	s.classes[f.Class]++
}

// succeeded measures the time since the last success.
func (s *Series) succeeded(start time.Time) {
	since := s.lastGood
	if since.IsZero() {
		since = s.began
	}
	if gap := start.Sub(since); gap > s.gap {
		s.gap, s.gapFrom = gap, since
	}
	if start.After(s.lastGood) {
		s.lastGood = start
	}
}

// show counts the certificate of a sample and returns its fingerprint.
func (s *Series) show(p Sample) string {
	leaf, at := p.Leaf, p.shown()
	f := certs.Fingerprint(leaf)
	s.Shown[f]++
	g := s.seen[f]
	if g == nil {
		g = &sighting{cert: leaf, chain: p.Chain, verified: p.Verified, first: at, last: at}
		s.seen[f] = g
	}
	if at.Before(g.first) {
		g.first = at
	}
	if at.After(g.last) {
		g.last = at
	}
	if s.Current == nil || !s.Current.Equal(leaf) {
		s.Current, s.run, s.Since = leaf, 0, at
	}
	if s.run++; s.run == 1 {
		s.row = at
	}
	return f
}

func (s *Series) fingerprint() string { return certs.Fingerprint(s.Current) }

// inRow returns how many of the newest handshakes in a row showed cert.
func (s *Series) inRow(cert *x509.Certificate) int {
	if s.Current == nil || !s.Current.Equal(cert) {
		return 0
	}
	return s.run
}

// Failed returns how many probes of addresses failed.
func (r *Record) Failed() int {
	n := 0
	for _, c := range r.failures {
		n += c
	}
	return n
}

// FailedBetween returns how many probes of addresses failed that were begun from
// a moment on and, unless until is zero, before another.
func (r *Record) FailedBetween(from, until time.Time) int {
	n := 0
	for _, s := range r.addresses {
		for _, one := range s.trace.runs {
			at := r.Began.Add(one.first)
			if one.cert == "" && !at.Before(from) && (until.IsZero() || at.Before(until)) {
				n += one.count
			}
		}
	}
	return n
}

// Hint returns the hint of the newest failures that have one, "" without one.
func (r *Record) Hint() string {
	for _, class := range slices.Sorted(maps.Keys(r.newest)) {
		if h := r.newest[class].Hint; h != "" {
			return h
		}
	}
	return ""
}

// TimedOut reports whether the newest failure of a class is an answer that did not come in
// time.
func (r *Record) TimedOut() bool {
	for _, f := range r.newest {
		if f.Timeout() {
			return true
		}
	}
	return false
}

// Unreached returns the newest failure of the first address if no address has ever shown
// a verified certificate, nil otherwise.
func (r *Record) Unreached() *tlskit.Failure {
	for _, s := range r.addresses {
		if s.Current != nil || s.failure == nil {
			return nil
		}
	}
	return r.addresses[0].failure
}

// FirstToExpire returns the address whose certificate expires first, nil if none shows one.
func (r *Record) FirstToExpire() *Series {
	var first *Series
	for _, s := range r.addresses {
		if s.Current != nil && (first == nil || s.Current.NotAfter.Before(first.Current.NotAfter)) {
			first = s
		}
	}
	return first
}

// LongestGap returns the longest time that any address was without a
// successful probe, up to now, when that began, and the address.
func (r *Record) LongestGap(now time.Time) (most time.Duration, from time.Time, name string) {
	for _, s := range r.addresses {
		gap, begun := s.gap, s.gapFrom
		since := s.lastGood
		if since.IsZero() {
			since = s.began
		}
		if open := now.Sub(since); !since.IsZero() && open > gap {
			gap, begun = open, since
		}
		if gap > most {
			most, from, name = gap, begun, s.Name
		}
	}
	return most, from, name
}

// Settled reports whether every address has shown cert, and nothing else, in
// its newest handshakes, as many as count, all of them successful, and a server
// that does not show it would have been seen but for the acceptable doubt.
func (r *Record) Settled(cert *x509.Certificate) bool {
	return cert != nil && r.Aimed(cert) && len(r.stragglers(cert)) == 0 && len(r.doubtful()) == 0
}

// Switched returns how many addresses have shown cert as often in a row as
// counts.
func (r *Record) Switched(cert *x509.Certificate) int {
	return len(r.addresses) - len(r.stragglers(cert))
}

// LeastInRow returns the smallest number, of all addresses, of the newest
// handshakes in a row that showed cert.
func (r *Record) LeastInRow(cert *x509.Certificate) int {
	least := r.addresses[0].inRow(cert)
	for _, s := range r.addresses[1:] {
		least = min(least, s.inRow(cert))
	}
	return least
}

// stragglers lists the addresses and pods that have not shown cert in a row as
// often as counts.
func (r *Record) stragglers(cert *x509.Certificate) []*Series {
	var list []*Series
	for _, s := range r.addresses {
		if s.inRow(cert) < r.limits.ConsecutiveNew {
			list = append(list, s)
		}
	}
	for _, g := range r.groups {
		// Of a pod the certificate alone; how often is a matter of the doubt.
		if s := r.at(g.members[0]); g.pod && !g.gone && s.Attempts > 0 && (s.Current == nil || !s.Current.Equal(cert)) {
			list = append(list, s)
		}
	}
	return list
}

// behind lists the addresses and pods that have not shown cert as often in a row
// as they must, or that showed others since they showed it.
func (r *Record) behind(cert *x509.Certificate) []*Series {
	list := r.stragglers(cert)
	for _, g := range r.doubtful() {
		for _, i := range g.members {
			if s := r.at(i); s.mixed(cert) && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// Behind reports whether an address or a pod has not shown cert as often in a row
// as it must, or showed another certificate since.
func (r *Record) Behind(cert *x509.Certificate) bool { return len(r.behind(cert)) > 0 }

// mixed reports whether others were shown after cert was first seen.
func (s *Series) mixed(cert *x509.Certificate) bool {
	mine := s.seen[certs.Fingerprint(cert)]
	for _, g := range s.seen {
		if mine != nil && g != mine && g.last.After(mine.first) {
			return true
		}
	}
	return false
}

// FirstShown returns when and where a certificate that satisfies match was first
// shown by an address; zero if none was.
func (r *Record) FirstShown(match func(*x509.Certificate) bool) (at time.Time, name string) {
	for _, s := range r.addresses {
		for _, g := range s.seen {
			if match(g.cert) && (at.IsZero() || g.first.Before(at)) {
				at, name = g.first, s.Name
			}
		}
	}
	return at, name
}

// LastSwitch returns since when every address shows nothing but its present
// certificate, and the address that was the last to change.
func (r *Record) LastSwitch() (at time.Time, name string) {
	for _, s := range r.addresses {
		if s.Since.After(at) {
			at, name = s.Since, s.Name
		}
	}
	for _, g := range r.groups {
		// A pod that was probed only after its switch does not count.
		if s := r.at(g.members[0]); g.pod && !g.gone && len(s.seen) > 1 && s.Since.After(at) {
			at, name = s.Since, s.Name
		}
	}
	return at, name
}

// LastRow returns since when every address shows its present certificate without
// a failed probe, and the address that was the last.
func (r *Record) LastRow() (at time.Time, name string) {
	for _, s := range r.addresses {
		if s.row.After(at) {
			at, name = s.row, s.Name
		}
	}
	return at, name
}

// Newest calls yield with the start, since the record began, and the fingerprint
// of each kept probe of the address, the last to arrive first; "" is a failure. It
// ends with the probes that began before since.
func (s *Series) Newest(since time.Duration, yield func(start time.Duration, fingerprint string)) {
	for _, one := range slices.Backward(s.trace.runs) {
		if one.first < since-s.trace.limit {
			return // probes that arrived earlier were begun earlier, too
		}
		if one.first >= since {
			yield(one.first, one.cert)
		}
	}
}
