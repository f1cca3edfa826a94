package assertrotation

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// A history remembers every certificate that the Secret was seen to hold since
// the proof began, and every one that a request of the Certificate was answered
// with, also before.
type history struct {
	secret map[string]bool   // by fingerprint
	issued map[string]string // name of the request, by fingerprint

	// reads are when the newest read of the Secret began that found a certificate,
	// by fingerprint. floor is when the present one can have been written at the
	// earliest; at first, when the proof began, which found it.
	reads map[string]time.Time
	floor time.Time
}

// read takes in a read of the Secret.
func (h *history) read(leaf *x509.Certificate, began time.Time) {
	if h.reads == nil {
		h.reads = make(map[string]time.Time)
	}
	if print := tlskit.Fingerprint(leaf); began.After(h.reads[print]) {
		h.reads[print] = began.Round(0)
	}
}

// take takes in a change.
func (h *history) take(c change) {
	switch {
	case c.secret != nil:
		if h.secret == nil {
			h.secret = make(map[string]bool)
		}
		h.secret[tlskit.Fingerprint(c.secret.leaf())] = true
	case c.request != nil:
		if leaf := c.request.leaf(); leaf != nil {
			if h.issued == nil {
				h.issued = make(map[string]string)
			}
			h.issued[tlskit.Fingerprint(leaf)] = c.request.Metadata.Name
		}
	}
}

// held reports whether the Secret held a certificate while the proof ran.
func (h *history) held(c *x509.Certificate) bool { return h.secret[tlskit.Fingerprint(c)] }

// origin says what is known of a certificate that is neither the old nor the new
// one of a rotation.
func (h *history) origin(c *x509.Certificate) string {
	name, issued := h.issued[tlskit.Fingerprint(c)]
	switch {
	case h.held(c):
		return "an older one, which the Secret held before in this proof"
	case issued:
		return fmt.Sprintf("an older one, which certificaterequest %s was answered with", name)
	}
	return "which the Secret was not seen to hold since the proof began, and which no request of the Certificate was answered with"
}
