package assertrotation

import (
	"fmt"
	"math"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/probe"
)

// withDeadline adds to the detail of the first finding that does not hold until when
// clients are served in spite of it. The cause of the finding stays without that.
func (p *proof) withDeadline(findings []engine.Finding) {
	for i := range findings {
		if f := &findings[i]; !f.Holds {
			if text := p.deadline(p.env.Now()); text != "" {
				f.Cause = f.Reason()
				if f.Detail != "" {
					f.Detail += "; "
				}
				f.Detail += text
			}
			return
		}
	}
}

// served returns the address whose certificate expires first, nil if none shows one.
func (p *proof) served() *probe.Series {
	var first *probe.Series
	for _, s := range p.rec.Addresses() {
		if s.Current != nil && (first == nil || s.Current.NotAfter.Before(first.Current.NotAfter)) {
			first = s
		}
	}
	return first
}

// until returns until when the certificate on the wire is valid, the first to expire of
// several; zero if the wire shows none.
func (p *proof) until() time.Time {
	if s := p.served(); s != nil {
		return s.Current.NotAfter
	}
	return time.Time{}
}

// deadline renders until when the certificate on the wire is valid, the first
// to expire of several; if the wire shows none, that of the Secret. It is "" if
// neither is known.
func (p *proof) deadline(now time.Time) string {
	served := p.served()
	switch {
	case served != nil:
		return fmt.Sprintf("the certificate that %s serves (serial %s) %s", served.Name, certs.Serial(served.Current), holds(served.Current.NotAfter, now))
	case p.state.Secret != nil:
		return fmt.Sprintf("the certificate in the Secret (serial %s) %s", certs.Serial(p.state.Secret.Leaf()), holds(p.state.Secret.Leaf().NotAfter, now))
	}
	return ""
}

// holds renders an end and the time until then: "holds until 16:59:40Z, in 43 min".
// Without the day if that is less than one.
func holds(until, now time.Time) string {
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
