package assertrotation

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubestatus"
	"github.com/ztplan/ztplan/steps/internal/probe"
	"github.com/ztplan/ztplan/steps/internal/renewal"
	"github.com/ztplan/ztplan/steps/internal/timeline"
)

// An ending is the end of the measurement of a rotation.
type ending string

const (
	endComplete ending = "complete" // every address shows the new certificate
	endFailed   ending = "failed"   // the issuance failed
	endLate     ending = "late"     // the switch took too long
	endCut      ending = "cut off"  // the step's time was over
	endDown     ending = "down"     // the disrupted part did not come back
)

// A rotation is one renewal on its way from the request to the wire. It handles
// events and reads nothing by itself.
type rotation struct {
	proof      *proof
	index      int
	before     renewal.Issued
	after      renewal.Issued
	rec        *probe.Record
	kept       probe.Statistics // of the keep-alive connections
	line       timeline.Timeline
	end        ending
	began      time.Time
	ended      time.Time
	failing    time.Time // when the first probe that failed was begun; zero if none did
	pausing    time.Time // until when the plan wants a pause; zero without one
	asking     bool      // the renewal has not been asked for yet
	since      time.Time // since when everything is as it should be; zero if it is not
	overdue    bool      // the switch should be over
	never      bool      // a server that is late would be here
	behind     bool      // it should have caught up after the disruption
	disruption disrupt.Outcome
	authorityChange
	issuance certwatch.Issuance // of the certificate in the Secret
	pace     probe.Pace         // of the probes
	late     time.Duration      // see probe.Prober.Lateness
	gap      time.Duration      // the longest without a successful probe
	gapAt    string             // and where

	old     map[types.UID]bool  // requests that were there before
	request *certwatch.Request  // the newest request of this rotation
	target  *x509.Certificate   // the new certificate in the Secret
	written []*x509.Certificate // everything that the Secret held since
}

func newRotation(p *proof, index int) *rotation {
	r := &rotation{
		proof: p, index: index, rec: p.rec,
		before: renewal.Issued{Certificate: p.state.Certificate, Secret: p.state.Secret},
		after:  renewal.Issued{Certificate: p.state.Certificate, Secret: p.state.Secret},
		line:   timeline.Timeline{Start: p.rec.Began, FromFirst: p.spec.Trigger == triggerWait},
		pace:   probe.Pace{At: p.rec.Began},
		began:  p.rec.Began,
		old:    make(map[types.UID]bool),
		asking: p.spec.Trigger != triggerWait,
	}
	for uid, q := range p.state.Requests {
		switch {
		case !p.state.Certificate.Issuing():
			r.old[uid] = true
		case q.Revision() > r.before.Certificate.Status.Revision && (r.request == nil || q.Revision() > r.request.Revision()):
			r.request = q // under way already: why it is not answered is why there is no certificate
		}
	}
	if p.spec.Trigger == triggerWait && p.state.Certificate.Failed() {
		// Waiting would take as long as cert-manager's pause.
		r.end = endFailed
		for _, q := range p.state.Requests {
			if q.Status.Conditions.Get("Ready").Reason == "Failed" {
				r.request = q
			}
		}
	}
	return r
}

// over reports whether the measurement has ended. It has not as long as a probe
// is under way that was started before everything was as it should be: the
// probes of clients that a switch keeps waiting end last. Keep-alive connections must
// have answered since, and since the end of a disruption: a pod that ends closes its
// own.
func (r *rotation) over() bool {
	switch {
	case r.end != "":
	case !r.switched():
		r.since = time.Time{}
		if r.never && !(r.begun && r.pending()) && !r.disrupted() || r.behind {
			r.end = endLate
		}
	case r.since.IsZero():
		r.since = r.proof.env.Now()
		fallthrough
	default:
		changed, _ := r.rec.LastSwitch()
		if r.disruption.Over.After(changed) {
			changed = r.disruption.Over
		}
		if oldest, ok := r.proof.prober.Oldest(); (!ok || oldest.After(r.since)) && r.kept.AnsweredSince(changed) && r.listed() {
			r.end = endComplete
		}
	}
	return r.end != ""
}

// listed reports whether the pods behind the Service were listed since everything
// is as it should be: a pod that came meanwhile may lag.
func (r *rotation) listed() bool {
	return !r.since.IsZero() && r.proof.servers.Since(r.since)
}

// switched reports whether the certificate has arrived and a planned change of the
// intermediate has ended.
func (r *rotation) switched() bool { return r.arrived() && !r.pending() }

// arrived reports whether cert-manager is done and every address shows the new
// certificate, with the disrupted part back.
func (r *rotation) arrived() bool {
	return r.target != nil && !r.asking && !r.disrupted() && !r.after.Certificate.Issuing() &&
		r.after.Certificate.Status.Revision > r.before.Certificate.Status.Revision &&
		r.rec.Settled(r.target)
}

// handleChange notes a change that was seen at a moment.
func (r *rotation) handleChange(c certwatch.Change, at time.Time) {
	switch {
	case c.Certificate != nil:
		r.after.Certificate = c.Certificate
		r.handleCertificate(c.Certificate, at)
	case c.Request != nil:
		r.handleRequest(c.Request, at)
	case c.Secret != nil:
		r.after.Secret = c.Secret
		if leaf := c.Secret.Leaf(); !leaf.Equal(r.before.Secret.Leaf()) && !leaf.Equal(r.target) {
			r.target = leaf
			r.written = append(r.written, leaf)
			r.line.Set(timeline.Secret, c.Secret.WrittenSeen(at), "")
		}
	}
	r.place()
}

// handleRequested notes that the renewal was asked for. If one was under way
// already, the run's request changed nothing and is no milestone.
func (r *rotation) handleRequested(a requested) {
	r.line.Start = a.at
	if a.cert.RequestedAt(a.at) {
		r.line.Mark(timeline.Asked, a.at, "")
	}
}

func (r *rotation) handleCertificate(c *certwatch.Certificate, at time.Time) {
	if issuing := c.Status.Conditions.Get("Issuing"); issuing.Status == "True" {
		r.proof.watch.Renewing(true)
		if r.line.Observed(timeline.Issuing).Seen.IsZero() {
			r.line.Set(timeline.Issuing, c.IssuingSeen(at), issuing.Reason)
		}
	}
	r.issuance.HandleCertificate(c, r.before.Certificate.Status.Revision, at)
	if r.target == nil && c.FailedSince(r.before.Certificate) {
		r.end = endFailed
	}
}

func (r *rotation) handleRequest(q *certwatch.Request, at time.Time) {
	if r.old[q.Metadata.UID] {
		return
	}
	if revision := q.Revision(); revision > 0 && revision <= r.before.Certificate.Status.Revision {
		return
	}
	r.proof.watch.Renewing(true)
	r.request = q
	r.issuance.HandleRequest(q, at)
}

// handleSample notes the sample of a probe.
func (r *rotation) handleSample(s probe.Sample) {
	if s.Failure != nil && (r.failing.IsZero() || s.Start.Before(r.failing)) {
		r.failing = s.Start
	}
	if s.Leaf != nil && !s.Leaf.Equal(r.before.Secret.Leaf()) {
		r.placeFirstServed()
	}
}

// finish closes the record.
func (r *rotation) finish(at time.Time) {
	r.ended = at
	r.place() // by the newest bounds of the clock
	gap, from, name := r.rec.LongestGap(at)
	r.gap = gap
	r.gapAt = fmt.Sprintf("%s, from %s", name, r.line.Between(from))
	r.rec.Close()
	if r.end == endComplete {
		when, where := r.rec.LastSwitch()
		r.line.Mark(timeline.LastServed, when, where)
		if !r.disruption.Over.IsZero() {
			when, where := r.rec.LastRow()
			if when.Before(r.disruption.Over) {
				when, where = r.disruption.Over, ""
			}
			r.line.Mark(timeline.CaughtUp, when, where)
		}
	}
}

// lines renders the timeline.
func (r *rotation) lines() []string {
	lines := r.line.Lines()
	if r.proof.spec.Rotations > 1 {
		for i := range lines {
			lines[i] = fmt.Sprintf("rotation %d: %s", r.index+1, lines[i])
		}
	}
	return lines
}

// place puts the milestones on the timeline that are known from the cluster and from
// the first sight of the new certificate.
func (r *rotation) place() {
	r.line.SetClock(r.proof.clock.Record())
	r.issuance.Place(&r.line, r.target)
	if r.target != nil {
		seen := r.line.Observed(timeline.Secret)
		seen.NotYet = r.proof.state.History.NotYet(r.target)
		r.line.Set(timeline.Secret, seen, "serial "+certs.Serial(r.target))
	}
	r.placeFirstServed()
}

// placeFirstServed puts the first sight of the new certificate on the timeline: as
// long as the Secret is not known to hold one, of any that it did not hold before.
func (r *rotation) placeFirstServed() {
	match := func(c *x509.Certificate) bool { return !r.proof.state.History.Held(c) }
	if r.target != nil {
		match = r.target.Equal
	}
	first, name := r.rec.FirstShown(match)
	if first.IsZero() {
		r.line.Drop(timeline.FirstServed)
		return
	}
	r.line.Set(timeline.FirstServed, evidence.Hop{Seen: first}, name)
}

// handleRead notes a read of the Secret. One that began after the present
// certificate was seen proves nothing about the time before.
func (r *rotation) handleRead(c certwatch.Change) {
	if c.ReadAt.IsZero() {
		return
	}
	leaf := c.Secret.Leaf()
	if seen := r.line.Observed(timeline.Secret).Seen; r.target != nil && !leaf.Equal(r.target) && !c.ReadAt.Before(seen) {
		return
	}
	r.proof.state.History.Read(leaf, c.ReadAt)
}

// lag returns how long the switch took as it was observed, and at most: from the
// Secret being written until every address showed only its certificate; false if
// that did not happen.
func (r *rotation) lag() (observed, most time.Duration, ok bool) {
	return evidence.Switch(r.line.Record())
}

// status renders the state of the rotation in one line.
func (r *rotation) status() string {
	var b strings.Builder
	if n := r.proof.spec.Rotations; n > 1 {
		fmt.Fprintf(&b, "rotation %d of %d: ", r.index+1, n)
	}
	now := r.proof.env.Now()
	switch last := r.line.Last(); {
	case last == "" && r.proof.spec.Trigger == triggerWait && r.before.Certificate.Status.RenewalTime != nil:
		fmt.Fprintf(&b, "cert-manager renews at %s, in %s", certs.Stamp(r.before.Certificate.Status.RenewalTime.Time),
			r.before.Certificate.Status.RenewalTime.Sub(now).Round(time.Second))
	case last == "" && now.Before(r.pausing):
		fmt.Fprintf(&b, "pause before the renewal, %s left", r.pausing.Sub(now).Round(time.Second))
	case last == "":
		b.WriteString("waiting for the renewal")
	default:
		b.WriteString(last.String())
	}
	if r.request != nil && r.target == nil {
		if ready := r.request.Status.Conditions.Get("Ready"); ready.Status == "False" && ready.Message != "" {
			fmt.Fprintf(&b, " (%s: %s)", r.request.Metadata.Name, kubestatus.OneLine(ready.Message))
		}
	}
	if r.stage != "" && r.pending() {
		fmt.Fprintf(&b, "; %s", r.stage)
	}
	if r.disrupted() && !r.disruption.Began.IsZero() {
		d := r.proof.spec.During
		fmt.Fprintf(&b, "; %s is away", d.Restart)
		if r.disruption.State != "" {
			fmt.Fprintf(&b, " (%s)", r.disruption.State)
		}
		fmt.Fprintf(&b, ", %s left", remaining(r.maxDown(), r.disruption.Began, now))
	}
	fmt.Fprintf(&b, "; %.0f handshakes/s, %d probes, %d failed", r.pace.Rate, r.rec.Attempts, r.rec.Failed())
	if r.target != nil {
		fmt.Fprintf(&b, "; %d of %d addresses switched", r.rec.Switched(r.target), len(r.rec.Addresses()))
		if doubt := r.rec.Doubt(); doubt < 1 {
			fmt.Fprintf(&b, ", a stale server would be seen with %s", evidence.Percent(1-doubt))
		}
		if r.overdue {
			fmt.Fprintf(&b, "; the switch is overdue: waiting whether the rest is late or never comes")
		} else if written, ok := r.line.When(timeline.Secret); ok {
			fmt.Fprintf(&b, ", %s left", remaining(r.proof.spec.MaxSwitch.Std(), written, now))
		}
	}
	return b.String()
}
