package assertrotation

import (
	"crypto/x509"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A way is what a rotation knows of how its certificate came to the Secret. Of
// several renewals that run into each other, the hops are those of the one whose
// certificate the Secret holds.
type way struct {
	requests map[types.UID]*passage
	counted  []counted            // revisions, as they grew
	reads    map[string]time.Time // when the newest read began that found a certificate, by fingerprint
}

// A passage is a request with what was observed of its hops.
type passage struct {
	request                   *request
	created, approved, signed evidence.Hop
}

// A counted is an observation of a revision.
type counted struct {
	revision int
	hop      evidence.Hop
}

// pass takes in a state of a request of this rotation.
func (w *way) pass(q *request, at time.Time) {
	if w.requests == nil {
		w.requests = make(map[types.UID]*passage)
	}
	p := w.requests[q.Metadata.UID]
	if p == nil {
		p = &passage{created: evidence.Hop{Seen: at, Created: q.Metadata.CreationTimestamp.Time}}
		w.requests[q.Metadata.UID] = p
	}
	p.request = q
	for kind, h := range map[string]*evidence.Hop{"Approved": &p.approved, "Ready": &p.signed} {
		if h.Seen.IsZero() && q.Status.Conditions.isTrue(kind) {
			*h = evidence.Hop{Seen: at, Written: conditionWritten(q.Metadata, kind)}
		}
	}
}

// count takes in a revision.
func (w *way) count(c *certificate, least int, at time.Time) {
	if n := len(w.counted); n > 0 {
		least = w.counted[n-1].revision
	}
	if c.Status.Revision > least {
		w.counted = append(w.counted, counted{c.Status.Revision, evidence.Hop{Seen: at, Written: written(c.Metadata, "f:status", "f:revision")}})
	}
}

// signer returns the passage that ended with the certificate, nil if it is not
// known; without a certificate the newest one.
func (w *way) signer(target *x509.Certificate) *passage {
	var found *passage
	for _, p := range w.requests {
		switch {
		case target == nil && (found == nil || p.created.Seen.After(found.created.Seen)):
			found = p
		case target != nil && target.Equal(p.request.leaf()):
			return p
		}
	}
	return found
}

// place puts the hops on the timeline that lie before the certificate and follow
// from it.
func (r *rotation) place() {
	if clock := r.proof.clock.record(); clock != r.line.clock {
		r.line.clock, r.line.sorts = clock, nil
	}
	for _, h := range []hop{hopCreated, hopApproved, hopSigned, hopRevision} {
		r.line.drop(h)
	}
	least := 0
	if p := r.way.signer(r.target); p != nil {
		r.put(hopCreated, p.created, p.request.Metadata.Name)
		r.put(hopApproved, p.approved, "")
		r.put(hopSigned, p.signed, "")
		least = p.request.revision()
	}
	// Without a request it is the newest one.
	for i, c := range r.way.counted {
		if c.revision >= least && (least > 0 || i == len(r.way.counted)-1) {
			r.put(hopRevision, c.hop, strconv.Itoa(c.revision))
			break
		}
	}
	if r.target != nil {
		seen := r.line.facts[hopSecret].Hop
		seen.NotYet = r.notYet()
		r.put(hopSecret, seen, "serial "+tlskit.Serial(r.target))
	}
	r.sight()
}

func (r *rotation) put(h hop, seen evidence.Hop, note string) {
	if !seen.Seen.IsZero() {
		r.line.set(h, seen, note)
	}
}

// looked takes in a read of the Secret. One that began after the present
// certificate was observed says nothing about what was there before it.
func (r *rotation) looked(c change) {
	if c.readAt.IsZero() {
		return
	}
	leaf := c.secret.leaf()
	if seen := r.line.facts[hopSecret].Seen; r.target != nil && !leaf.Equal(r.target) && !c.readAt.Before(seen) {
		return
	}
	r.proof.history.read(leaf, c.readAt)
}

// notYet returns when the newest read began that did not find the present
// certificate; without one, when the certificate before can have been written.
func (r *rotation) notYet() time.Time {
	newest := r.proof.history.floor
	for print, at := range r.proof.history.reads {
		if print != tlskit.Fingerprint(r.target) && at.After(newest) {
			newest = at
		}
	}
	return newest
}

// sight puts the first sight of the new certificate on the timeline: as long as
// the Secret is not known to hold one, of any that it did not hold before.
func (r *rotation) sight() {
	var (
		first time.Time
		name  string
	)
	if r.target != nil {
		first, name = r.rec.FirstShown(r.target.Equal)
	} else {
		first, name = r.rec.FirstShown(func(c *x509.Certificate) bool { return !r.proof.history.held(c) })
	}
	if first.IsZero() {
		r.line.drop(hopFirstServed)
		return
	}
	r.line.set(hopFirstServed, evidence.Hop{Seen: first}, name)
}

// lag returns how long the switch took as it was observed, and at most: from the
// Secret being written until every address showed only its certificate; false if
// that did not happen.
func (r *rotation) lag() (observed, most time.Duration, ok bool) {
	return evidence.Switch(r.line.record())
}

// earliest returns the earliest moment at which the Secret can have been written,
// zero if it was not.
func (r *rotation) earliest() time.Time {
	for _, f := range r.line.sorted() {
		if f.Name == string(hopSecret) {
			return f.Earliest
		}
	}
	return time.Time{}
}
