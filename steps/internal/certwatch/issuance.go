package certwatch

import (
	"crypto/x509"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/timeline"
)

// An Issuance has the observations of how a certificate came to the Secret. Of
// several renewals that run into each other, the milestones are those of the one
// whose certificate the Secret holds.
type Issuance struct {
	requests  map[types.UID]*requestMilestones
	revisions []revision // as they grew
}

// requestMilestones are the observations of one request.
type requestMilestones struct {
	request                   *Request
	created, approved, signed evidence.Hop
}

// A revision is an observation of the Certificate's revision.
type revision struct {
	number int
	hop    evidence.Hop
}

// HandleRequest notes the state of a request, seen at a moment.
func (i *Issuance) HandleRequest(q *Request, at time.Time) {
	if i.requests == nil {
		i.requests = make(map[types.UID]*requestMilestones)
	}
	m := i.requests[q.Metadata.UID]
	if m == nil {
		m = &requestMilestones{created: evidence.Hop{Seen: at, Created: q.Metadata.CreationTimestamp.Time}}
		i.requests[q.Metadata.UID] = m
	}
	m.request = q
	for kind, h := range map[string]*evidence.Hop{"Approved": &m.approved, "Ready": &m.signed} {
		if h.Seen.IsZero() && q.Status.Conditions.Get(kind).Status == "True" {
			*h = evidence.Hop{Seen: at, Written: conditionWritten(q.Metadata, kind)}
		}
	}
}

// HandleCertificate notes the Certificate's revision, seen at a moment, if it is
// above least and all before.
func (i *Issuance) HandleCertificate(c *Certificate, least int, at time.Time) {
	if n := len(i.revisions); n > 0 {
		least = i.revisions[n-1].number
	}
	if c.Status.Revision > least {
		i.revisions = append(i.revisions, revision{c.Status.Revision, evidence.Hop{Seen: at, Written: written(c.Metadata, "f:status", "f:revision")}})
	}
}

// signer returns the request that was answered with the certificate, nil if it is
// not known; without a certificate the newest one.
func (i *Issuance) signer(target *x509.Certificate) *requestMilestones {
	var found *requestMilestones
	for _, m := range i.requests {
		switch {
		case target == nil && (found == nil || m.created.Seen.After(found.created.Seen)):
			found = m
		case target != nil && target.Equal(m.request.Leaf()):
			return m
		}
	}
	return found
}

// Place puts the milestones on the timeline that lie before the certificate and
// follow from it. target is the certificate in the Secret, nil while it is the old
// one.
func (i *Issuance) Place(line *timeline.Timeline, target *x509.Certificate) {
	for _, m := range []timeline.Milestone{timeline.Created, timeline.Approved, timeline.Signed, timeline.Revision} {
		line.Drop(m)
	}
	least := 0
	if m := i.signer(target); m != nil {
		line.Set(timeline.Created, m.created, m.request.Metadata.Name)
		line.Set(timeline.Approved, m.approved, "")
		line.Set(timeline.Signed, m.signed, "")
		least = m.request.Revision()
	}
	// Without a request it is the newest one.
	for n, r := range i.revisions {
		if r.number >= least && (least > 0 || n == len(i.revisions)-1) {
			line.Set(timeline.Revision, r.hop, strconv.Itoa(r.number))
			break
		}
	}
}

// IssuingSeen returns the observation, at a moment, that an issuance is under way.
func (c *Certificate) IssuingSeen(at time.Time) evidence.Hop {
	return evidence.Hop{Seen: at, Written: conditionWritten(c.Metadata, "Issuing")}
}

// WrittenSeen returns the observation, at a moment, that the Secret has a
// certificate.
func (b *Bundle) WrittenSeen(at time.Time) evidence.Hop {
	return evidence.Hop{Seen: at, Written: written(b.Metadata, "f:data", "f:tls.crt")}
}
