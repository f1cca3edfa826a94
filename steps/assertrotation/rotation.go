package assertrotation

import (
	"crypto/x509"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// An ending says how the measurement of a rotation ended.
type ending string

const (
	endComplete ending = "complete" // every address shows the new certificate
	endFailed   ending = "failed"   // the issuance failed
	endLate     ending = "late"     // the switch took too long
	endCut      ending = "cut off"  // the step's time was over
	endDown     ending = "down"     // what was broken did not come back
)

// A rotation is one renewal on its way from the request to the wire. It is only
// told what happens and never looks itself.
type rotation struct {
	proof    *proof
	index    int
	before   state
	after    state
	rec      *record
	held     *tally
	line     timeline
	end      ending
	began    time.Time
	ended    time.Time
	failing  time.Time     // when the first probe that failed was begun; zero if none did
	pausing  time.Time     // until when the plan wants a pause; zero without one
	asking   bool          // the renewal has not been asked for yet
	since    time.Time     // since when everything is as it should be; zero if it is not
	overdue  bool          // the switch should be over
	never    bool          // a server that is late would be here
	behind   bool          // it should have caught up after the fault
	fault    damage        // what was broken
	progress               // of the intermediate
	way      way           // of the certificate to the Secret
	pace     pace          // of the probes
	gap      time.Duration // the longest without a successful probe
	gapAt    string        // and where

	old     map[types.UID]bool  // requests that were there before
	request *request            // the newest request of this rotation
	target  *x509.Certificate   // what the Secret holds since this rotation
	written []*x509.Certificate // everything that the Secret held since
}

func newRotation(p *proof, index int) *rotation {
	r := &rotation{
		proof: p, index: index, rec: p.rec, held: newTally(),
		before: state{p.cert, p.secret},
		after:  state{p.cert, p.secret},
		line:   timeline{start: p.rec.began, fromFirst: p.spec.Trigger == triggerWait},
		pace:   pace{at: p.rec.began},
		began:  p.rec.began,
		old:    make(map[types.UID]bool),
		asking: p.spec.Trigger != triggerWait,
	}
	if !p.cert.issuing() {
		for uid := range p.requests {
			r.old[uid] = true
		}
	}
	if p.spec.Trigger == triggerWait && p.cert.failed() {
		// Waiting would take as long as cert-manager's pause.
		r.end = endFailed
		for _, q := range p.requests {
			if q.Status.Conditions.get("Ready").Reason == "Failed" {
				r.request = q
			}
		}
	}
	return r
}

// over reports whether the measurement has ended. It has not as long as a probe
// is under way that was started before everything was as it should be: the
// clients that a switch keeps waiting are the last to be heard of. Connections
// that are held must have answered since, and since the end of a fault: a pod that
// ends closes its own.
func (r *rotation) over() bool {
	switch {
	case r.end != "":
	case !r.switched():
		r.since = time.Time{}
		if r.never && !(r.begun && r.pending()) && !r.suffering() || r.behind {
			r.end = endLate
		}
	case r.since.IsZero():
		r.since = r.proof.env.Now()
		fallthrough
	default:
		changed, _ := r.rec.lastSwitch()
		if r.fault.over.After(changed) {
			changed = r.fault.over
		}
		if oldest, ok := r.proof.prober.oldest(); (!ok || oldest.After(r.since)) && r.held.answeredSince(changed) && r.listed() {
			r.end = endComplete
		}
	}
	return r.end != ""
}

// listed reports whether the pods behind the Service were listed since everything
// is as it should be: one that came meanwhile may be behind.
func (r *rotation) listed() bool {
	p := r.proof
	return p.lookServers == nil || !r.since.IsZero() && !p.listed.Before(r.since)
}

// switched reports whether the certificate has arrived and the intermediate has
// changed, if it is to.
func (r *rotation) switched() bool { return r.arrived() && !r.pending() }

// arrived reports whether cert-manager is done and every address shows the new
// certificate, with everything back that was broken.
func (r *rotation) arrived() bool {
	return r.target != nil && !r.asking && !r.suffering() && !r.after.cert.issuing() &&
		r.after.cert.Status.Revision > r.before.cert.Status.Revision &&
		r.rec.settled(r.target, r.proof.spec.Probe)
}

// observe takes in what the watch told.
func (r *rotation) observe(c change, at time.Time) {
	switch {
	case c.certificate != nil:
		r.after.cert = c.certificate
		r.observeCertificate(c.certificate, at)
	case c.request != nil:
		r.observeRequest(c.request, at)
	case c.secret != nil:
		r.after.secret = c.secret
		if leaf := c.secret.leaf(); !leaf.Equal(r.before.secret.leaf()) && !leaf.Equal(r.target) {
			r.target = leaf
			r.written = append(r.written, leaf)
			r.put(hopSecret, evidence.Hop{Seen: at, Written: written(c.secret.metadata, "f:data", "f:tls.crt")}, "")
		}
	}
	r.place()
}

// ask takes in that the renewal was asked for. If one was under way already, the
// run's request changed nothing and is no hop.
func (r *rotation) ask(a requested) {
	r.line.start = a.at
	issuing := a.cert.Status.Conditions.get("Issuing")
	if issuing.Reason == reasonTriggered && !issuing.LastTransitionTime.Time.Before(a.at.Truncate(time.Second)) {
		r.line.mark(hopAsked, a.at, "")
	}
}

func (r *rotation) observeCertificate(c *certificate, at time.Time) {
	if issuing := c.Status.Conditions.get("Issuing"); issuing.Status == "True" {
		r.proof.reader.renewal(true)
		if _, ok := r.line.facts[hopIssuing]; !ok {
			r.put(hopIssuing, evidence.Hop{Seen: at, Written: conditionWritten(c.Metadata, "Issuing")}, issuing.Reason)
		}
	}
	r.way.count(c, r.before.cert.Status.Revision, at)
	if r.target == nil && c.failed() && failedAnew(r.before.cert, c) {
		r.end = endFailed
	}
}

func (r *rotation) observeRequest(q *request, at time.Time) {
	if r.old[q.Metadata.UID] {
		return
	}
	if revision := q.revision(); revision > 0 && revision <= r.before.cert.Status.Revision {
		return
	}
	r.proof.reader.renewal(true)
	r.request = q
	r.way.pass(q, at)
}

// see takes in what a probe saw.
func (r *rotation) see(s sample) {
	if s.failure != nil && (r.failing.IsZero() || s.start.Before(r.failing)) {
		r.failing = s.start
	}
	if s.leaf != nil && !s.leaf.Equal(r.before.secret.leaf()) {
		r.sight()
	}
}

// finish closes the record.
func (r *rotation) finish(at time.Time) {
	r.ended = at
	r.place() // by what the clock is known to be now
	gap, from, name := r.rec.longestGap(at)
	r.gap = gap
	r.gapAt = fmt.Sprintf("%s, from %s", name, r.line.at(from))
	for _, s := range r.rec.series {
		s.trace.close(math.MaxInt64)
	}
	if r.end == endComplete {
		when, where := r.rec.lastSwitch()
		r.line.mark(hopLastServed, when, where)
		if !r.fault.over.IsZero() {
			when, where := r.rec.lastRow()
			if when.Before(r.fault.over) {
				when, where = r.fault.over, ""
			}
			r.line.mark(hopCaughtUp, when, where)
		}
	}
}

// lines renders the timeline.
func (r *rotation) lines() []string {
	lines := r.line.lines()
	if r.proof.spec.Rotations > 1 {
		for i := range lines {
			lines[i] = fmt.Sprintf("rotation %d: %s", r.index+1, lines[i])
		}
	}
	return lines
}

// status says where the rotation is, in one line.
func (r *rotation) status() string {
	var b strings.Builder
	if n := r.proof.spec.Rotations; n > 1 {
		fmt.Fprintf(&b, "rotation %d of %d: ", r.index+1, n)
	}
	now := r.proof.env.Now()
	switch last := r.line.last(); {
	case last == "" && r.proof.spec.Trigger == triggerWait && r.before.cert.Status.RenewalTime != nil:
		fmt.Fprintf(&b, "cert-manager renews at %s, in %s", stamp(r.before.cert.Status.RenewalTime.Time),
			r.before.cert.Status.RenewalTime.Sub(now).Round(time.Second))
	case last == "" && now.Before(r.pausing):
		fmt.Fprintf(&b, "pause before the renewal, %s left", r.pausing.Sub(now).Round(time.Second))
	case last == "":
		b.WriteString("waiting for the renewal")
	default:
		b.WriteString(last.String())
	}
	if r.request != nil && r.target == nil {
		if ready := r.request.Status.Conditions.get("Ready"); ready.Status == "False" && ready.Message != "" {
			fmt.Fprintf(&b, " (%s: %s)", r.request.Metadata.Name, oneLine(ready.Message))
		}
	}
	if r.state != "" && r.pending() {
		fmt.Fprintf(&b, "; %s", r.state)
	}
	if r.suffering() && !r.fault.began.IsZero() {
		d := r.proof.spec.During
		fmt.Fprintf(&b, "; %s is away", d.Restart)
		if r.fault.state != "" {
			fmt.Fprintf(&b, " (%s)", r.fault.state)
		}
		fmt.Fprintf(&b, ", %s left", remaining(r.maxDown(), r.fault.began, now))
	}
	fmt.Fprintf(&b, "; %.0f handshakes/s, %d probes, %d failed", r.pace.rate, r.rec.attempts, r.rec.failed())
	if r.target != nil {
		left := len(r.rec.stragglers(r.target, r.proof.spec.Probe.ConsecutiveNew))
		fmt.Fprintf(&b, "; %d of %d addresses switched", len(r.rec.series)-left, len(r.rec.series))
		if doubt, _ := r.rec.doubt(); doubt < 1 {
			fmt.Fprintf(&b, ", a stale server would be seen with %s", evidence.Percent(1-doubt))
		}
		if r.overdue {
			fmt.Fprintf(&b, "; the switch is overdue: waiting whether the rest is late or never comes")
		} else if written, ok := r.line.when(hopSecret); ok {
			fmt.Fprintf(&b, ", %s left", remaining(r.proof.spec.MaxSwitch.Std(), written, now))
		}
	}
	return b.String()
}

// failureClasses renders the failed probes by class, each with its newest error:
// "2 dial (10.0.0.1:443: connect: connection refused), 1 tls (…)".
func (r *record) failureClasses() string {
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(r.failures)) {
		parts = append(parts, fmt.Sprintf("%d %s (%s)", r.failures[c], c, r.newest[c].Error()))
	}
	return strings.Join(parts, ", ")
}

// behind lists the addresses and pods that have not shown cert as often in a row
// as they must, or that showed others since they showed it.
func (r *record) behind(cert *x509.Certificate, probe Probe) []*series {
	list := r.stragglers(cert, probe.ConsecutiveNew)
	for _, g := range r.doubtful(probe.MaxDoubt) {
		for _, i := range g.members {
			if s := r.at(i); s.mixed(cert) && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// counts renders what the addresses showed that are behind.
func (r *record) counts(cert *x509.Certificate, probe Probe) string {
	var parts []string
	for _, s := range r.behind(cert, probe) {
		for _, g := range slices.SortedFunc(maps.Values(s.seen), func(a, b *sighting) int { return a.first.Compare(b.first) }) {
			parts = append(parts, fmt.Sprintf("%d × %s", s.shown[tlskit.Fingerprint(g.cert)], tlskit.Serial(g.cert)))
		}
	}
	if len(parts) == 0 {
		return "no certificate"
	}
	return strings.Join(parts, ", ")
}

// whyNot says which addresses are behind and what they showed instead, or how
// many handshakes the doubt still needs.
func (r *record) whyNot(cert *x509.Certificate, probe Probe) string {
	var parts []string
	for _, s := range r.behind(cert, probe) {
		parts = append(parts, s.whyNot(cert, probe.ConsecutiveNew))
	}
	if len(parts) == 0 && r.target == tlskit.Fingerprint(cert) {
		for _, g := range r.doubtful(probe.MaxDoubt) {
			parts = append(parts, g.lacks(probe.MaxDoubt))
		}
	}
	if len(parts) == 0 {
		return "every address shows it"
	}
	return strings.Join(parts, "; ")
}

// broken renders the failed probes of an address: "2 dial, 1 tls, the newest:
// connect: connection refused".
func (s *series) broken() string {
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(s.classes)) {
		parts = append(parts, fmt.Sprintf("%d %s", s.classes[c], c))
	}
	if s.failure != nil {
		parts = append(parts, "the newest: "+s.failure.Reason)
	}
	return strings.Join(parts, ", ")
}

// mixed reports whether others were shown after cert was first seen.
func (s *series) mixed(cert *x509.Certificate) bool {
	mine := s.seen[tlskit.Fingerprint(cert)]
	for _, g := range s.seen {
		if mine != nil && g != mine && g.last.After(mine.first) {
			return true
		}
	}
	return false
}

func (s *series) whyNot(cert *x509.Certificate, n int) string {
	total := 0
	for _, c := range s.shown {
		total += c
	}
	shown := s.shown[tlskit.Fingerprint(cert)]
	switch {
	case s.attempts == 0:
		return s.name + " has not been probed yet"
	case s.current == nil && s.refused != nil:
		return fmt.Sprintf("%s: none of %d connections got a verified certificate: %s", s.name, s.attempts, s.refused.Reason)
	case s.current == nil:
		return fmt.Sprintf("%s: none of %d probes got a verified certificate (%s)", s.name, s.attempts, s.broken())
	case s.current.Equal(cert) && s.run == 0:
		return fmt.Sprintf("%s: the newest of %d probes failed (%s)", s.name, s.attempts, s.broken())
	case s.mixed(cert):
		return fmt.Sprintf("%s showed it in %d of %d handshakes and other serials in between: one of its workers or replicas was left behind", s.name, shown, total)
	case s.current.Equal(cert):
		return fmt.Sprintf("%s showed it in %d of %d handshakes, the newest %d in a row instead of %d", s.name, shown, total, s.run, n)
	default:
		return fmt.Sprintf("%s never showed it in %d handshakes and shows serial %s: the gateway has not taken the Secret over", s.name, total, tlskit.Serial(s.current))
	}
}
