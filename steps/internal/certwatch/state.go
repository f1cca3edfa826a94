package certwatch

import (
	"crypto/x509"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ztplan/ztplan/steps/internal/certs"
)

// A State is the newest known state of the watched objects.
type State struct {
	Certificate *Certificate // nil until it was delivered, as the Secret
	Secret      *Bundle
	Requests    map[types.UID]*Request
	Troubles    Troubles
	History     History
}

// NewState returns a state without objects. The present certificate was issued
// after floor.
func NewState(floor time.Time) *State {
	return &State{
		Requests: make(map[types.UID]*Request), Troubles: make(Troubles),
		History: History{Floor: floor.Round(0), secret: make(map[string]bool), issued: make(map[string]string), reads: make(map[string]time.Time)},
	}
}

// Handle applies a change; it returns false if that is older than the known state,
// or concerns the watch alone.
func (s *State) Handle(c Change) bool {
	if s.Troubles.Handle(c) {
		return false
	}
	s.History.handle(c)
	switch {
	case c.Certificate != nil:
		if s.Certificate != nil && older(c.Certificate.Metadata, s.Certificate.Metadata) {
			return false
		}
		s.Certificate = c.Certificate
	case c.Secret != nil:
		// A watch that cannot be opened must be reported: it delivers the first state.
		if s.Secret == nil && !c.ReadAt.IsZero() || s.Secret != nil && older(c.Secret.Metadata, s.Secret.Metadata) {
			return false
		}
		s.Secret = c.Secret
	case c.Request != nil:
		if known := s.Requests[c.Request.Metadata.UID]; known != nil && older(c.Request.Metadata, known.Metadata) {
			return false
		}
		s.Requests[c.Request.Metadata.UID] = c.Request
	}
	return true
}

// A History has every certificate that the Secret held while it was watched, and
// every one that was issued for a request of the Certificate, also before.
type History struct {
	// Floor is the earliest moment at which the present certificate can have been
	// written.
	Floor time.Time

	secret map[string]bool      // by fingerprint
	issued map[string]string    // name of the request, by fingerprint
	reads  map[string]time.Time // when the newest read began that found a certificate, by fingerprint
}

func (h *History) handle(c Change) {
	switch {
	case c.Secret != nil:
		h.secret[certs.Fingerprint(c.Secret.Leaf())] = true
	case c.Request != nil:
		if leaf := c.Request.Leaf(); leaf != nil {
			h.issued[certs.Fingerprint(leaf)] = c.Request.Metadata.Name
		}
	}
}

// Read notes that a read of the Secret which began at a moment found a certificate.
func (h *History) Read(leaf *x509.Certificate, began time.Time) {
	if print := certs.Fingerprint(leaf); began.After(h.reads[print]) {
		h.reads[print] = began.Round(0)
	}
}

// NotYet returns when the newest read began that did not find a certificate;
// without one, Floor.
func (h *History) NotYet(leaf *x509.Certificate) time.Time {
	newest := h.Floor
	for print, at := range h.reads {
		if print != certs.Fingerprint(leaf) && at.After(newest) {
			newest = at
		}
	}
	return newest
}

// Held reports whether the Secret held a certificate while it was watched.
func (h *History) Held(c *x509.Certificate) bool { return h.secret[certs.Fingerprint(c)] }

// Origin describes a certificate that is neither the old nor the new one of a
// rotation.
func (h *History) Origin(c *x509.Certificate) string {
	name, issued := h.issued[certs.Fingerprint(c)]
	switch {
	case h.Held(c):
		return "an older one, which the Secret held before in this proof"
	case issued:
		return fmt.Sprintf("an older one, which certificaterequest %s was answered with", name)
	}
	return "which the Secret was not seen to hold since the proof began, and which no request of the Certificate was answered with"
}
