package display

import (
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// Seconds formats a duration in seconds for people: "0.04s", "12.3s", "2m05s".
func Seconds(s float64) string {
	switch {
	case s < 1:
		return fmt.Sprintf("%.2fs", s)
	case s < 60:
		return fmt.Sprintf("%.1fs", s)
	}
	return fmt.Sprintf("%dm%02ds", int(s)/60, int(s)%60)
}

// Count returns "1 step", "2 steps" or "2 entries".
func Count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	if stem, ok := strings.CutSuffix(word, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// OneLine returns s on one line: runs of white space are one space.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// FirstLine returns a text up to its first line break.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// Counts returns how many steps of a run ended in each way: "2 changed", "3 proved".
func Counts(s engine.Summary) []string {
	var parts []string
	for _, p := range []struct {
		n    int
		word string
	}{
		{s.Changed, "changed"}, {s.Pending, "to change"}, {s.Unchanged, "unchanged"},
		{s.Proved, "proved"}, {s.Awaiting, "awaiting"}, {s.Skipped, "skipped"}, {s.Failed, "failed"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.word))
		}
	}
	return parts
}

// Until describes the certificate that clients are served by its end, at, and the time
// that is left of it; "" for a zero at.
func Until(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	stamp, left := at.UTC().Format("2006-01-02 15:04:05 UTC"), at.Sub(now).Round(time.Second)
	switch {
	case left < 0:
		return fmt.Sprintf("a certificate that expired at %s, %s ago", stamp, -left)
	case left >= 48*time.Hour:
		return fmt.Sprintf("a certificate that holds until %s, for %d days", stamp, int(left.Hours()/24))
	}
	return fmt.Sprintf("a certificate that holds until %s, for %s", stamp, left)
}
