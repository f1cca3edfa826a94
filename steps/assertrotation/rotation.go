package assertrotation

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/probe"
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
	rec      *probe.Record
	kept     probe.Statistics // of the keep-alive connections
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
		proof: p, index: index, rec: p.rec,
		before: state{p.cert, p.secret},
		after:  state{p.cert, p.secret},
		line:   timeline{start: p.rec.Began, fromFirst: p.spec.Trigger == triggerWait},
		pace:   pace{at: p.rec.Began},
		began:  p.rec.Began,
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
		changed, _ := r.rec.LastSwitch()
		if r.fault.over.After(changed) {
			changed = r.fault.over
		}
		if oldest, ok := r.proof.prober.Oldest(); (!ok || oldest.After(r.since)) && r.kept.AnsweredSince(changed) && r.listed() {
			r.end = endComplete
		}
	}
	return r.end != ""
}

// listed reports whether the pods behind the Service were listed since everything
// is as it should be: one that came meanwhile may be behind.
func (r *rotation) listed() bool {
	return !r.since.IsZero() && r.proof.servers.Since(r.since)
}

// switched reports whether the certificate has arrived and the intermediate has
// changed, if it is to.
func (r *rotation) switched() bool { return r.arrived() && !r.pending() }

// arrived reports whether cert-manager is done and every address shows the new
// certificate, with everything back that was broken.
func (r *rotation) arrived() bool {
	return r.target != nil && !r.asking && !r.suffering() && !r.after.cert.issuing() &&
		r.after.cert.Status.Revision > r.before.cert.Status.Revision &&
		r.rec.Settled(r.target)
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
func (r *rotation) see(s probe.Sample) {
	if s.Failure != nil && (r.failing.IsZero() || s.Start.Before(r.failing)) {
		r.failing = s.Start
	}
	if s.Leaf != nil && !s.Leaf.Equal(r.before.secret.leaf()) {
		r.sight()
	}
}

// finish closes the record.
func (r *rotation) finish(at time.Time) {
	r.ended = at
	r.place() // by what the clock is known to be now
	gap, from, name := r.rec.LongestGap(at)
	r.gap = gap
	r.gapAt = fmt.Sprintf("%s, from %s", name, r.line.at(from))
	r.rec.Close()
	if r.end == endComplete {
		when, where := r.rec.LastSwitch()
		r.line.mark(hopLastServed, when, where)
		if !r.fault.over.IsZero() {
			when, where := r.rec.LastRow()
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
	fmt.Fprintf(&b, "; %.0f handshakes/s, %d probes, %d failed", r.pace.rate, r.rec.Attempts, r.rec.Failed())
	if r.target != nil {
		fmt.Fprintf(&b, "; %d of %d addresses switched", r.rec.Switched(r.target), len(r.rec.Addresses()))
		if doubt := r.rec.Doubt(); doubt < 1 {
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
