package assertrotation

import (
	"strings"
	"time"

	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/probe"
)

// view renders the state of the rotation: a line, and below it one for each address.
func (r *rotation) view() string {
	v := probe.View{Record: r.rec, Now: r.proof.env.Now().Sub(r.began), Old: certs.Fingerprint(r.before.secret.Leaf())}
	if r.target != nil {
		v.New = certs.Fingerprint(r.target)
	}
	return strings.Join(append([]string{r.status()}, v.Lines()...), "\n")
}

// A pace is the number of probes that end in a second. It begins at a moment without
// any.
type pace struct {
	at       time.Time
	attempts int
	rate     float64
}

// update computes the rate since the last update.
func (p *pace) update(now time.Time, attempts int) {
	if took := now.Sub(p.at).Seconds(); took > 0 {
		p.rate = float64(attempts-p.attempts) / took
	}
	p.at, p.attempts = now, attempts
}

// remaining renders a countdown from a moment on.
func remaining(limit time.Duration, since, now time.Time) time.Duration {
	return max(limit-now.Sub(since), 0).Round(time.Second)
}
