package display_test

import (
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine/display"
)

func TestHolds(t *testing.T) {
	now := time.Date(2026, 1, 18, 16, 16, 0, 0, time.UTC)
	for until, want := range map[time.Duration]string{
		43*time.Minute + 40*time.Second: "holds until 16:59:40Z, in 43 min",
		90 * time.Second:                "holds until 16:17:30Z, in 90 s",
		5 * time.Hour:                   "holds until 21:16:00Z, in 5 h",
		60 * 24 * time.Hour:             "holds until 2026-03-19 16:16:00Z, in 60 days",
		-3 * time.Minute:                "expired at 16:13:00Z, 3 min ago",
	} {
		if got := display.Holds(now.Add(until), now); got != want {
			t.Errorf("%s: %q, want %q", until, got, want)
		}
	}
}
