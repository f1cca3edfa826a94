package assertrotation

import (
	"fmt"
	"time"
)

// cert-manager's pause after a failed issuance: the first, and the longest.
const (
	firstBackoff   = time.Hour
	longestBackoff = 32 * time.Hour
)

// nextTry returns when cert-manager tries again by itself after the nth failed
// issuance in a row. Since v1.20 the first pause can be configured
// (certificateRequestMinimumBackoffDuration), which cannot be seen from here.
func nextTry(last time.Time, n int) time.Time {
	pause := firstBackoff
	for range n - 1 {
		if pause *= 2; pause >= longestBackoff {
			pause = longestBackoff
			break
		}
	}
	return last.Add(pause)
}

// explainBackoff says when cert-manager tries again and whether the certificate
// expires before that.
func explainBackoff(c *certificate, notAfter, now time.Time) string {
	if c.Status.LastFailureTime == nil {
		return ""
	}
	next := nextTry(c.Status.LastFailureTime.Time, max(c.Status.FailedAttempts, 1))
	text := fmt.Sprintf("cert-manager tries again by itself at %s, in %s", stamp(next), next.Sub(now).Round(time.Second))
	if notAfter.Before(next) {
		text += fmt.Sprintf(", and the certificate in use expires %s before that", next.Sub(notAfter).Round(time.Second))
	}
	return text
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
