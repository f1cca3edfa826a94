package assertrotation

import (
	"fmt"
	"time"

	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
)

// explainBackoff renders when cert-manager tries again and whether the certificate
// expires before that.
func explainBackoff(b certmanager.Backoff, c *certwatch.Certificate, notAfter, now time.Time) string {
	if c.Status.LastFailureTime == nil {
		return ""
	}
	next := b.Next(c.Status.LastFailureTime.Time, c.Status.FailedAttempts)
	text := fmt.Sprintf("cert-manager tries again by itself at %s, in %s", tlskit.Stamp(next), next.Sub(now).Round(time.Second))
	if notAfter.Before(next) {
		text += fmt.Sprintf(", and the certificate in use expires %s before that", next.Sub(notAfter).Round(time.Second))
	}
	return text
}
