package display

import (
	"fmt"
	"math"
	"time"
)

// Holds renders an end and the time until then: "holds until 16:59:40Z, in 43 min".
// Without the day if that is less than one.
func Holds(until, now time.Time) string {
	left := until.Sub(now)
	form := "2006-01-02 15:04:05Z"
	if left.Abs() < 24*time.Hour {
		form = "15:04:05Z"
	}
	at := until.UTC().Format(form)
	if left <= 0 {
		return fmt.Sprintf("expired at %s, %s ago", at, roughly(-left))
	}
	return fmt.Sprintf("holds until %s, in %s", at, roughly(left))
}

// roughly renders a duration in one unit, rounded down.
func roughly(d time.Duration) string {
	for _, u := range []struct {
		least, unit time.Duration
		name        string
	}{{48 * time.Hour, 24 * time.Hour, "days"}, {2 * time.Hour, time.Hour, "h"}, {2 * time.Minute, time.Minute, "min"}} {
		if d >= u.least {
			return fmt.Sprintf("%.0f %s", math.Floor(float64(d)/float64(u.unit)), u.name)
		}
	}
	return fmt.Sprintf("%.0f s", math.Floor(d.Seconds()))
}
