package assertrotation

import (
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/probe"
)

// The view of a rotation: for each of some addresses the newest
// handshakes, in cells of a span each.
const (
	viewCells     = 24
	viewCell      = 250 * time.Millisecond
	viewEndpoints = 8
)

// The signs in a cell.
const (
	signNone   = '·' // no handshake ended
	signOld    = '░'
	signMixed  = '▒' // the old certificate and the new one
	signNew    = '█'
	signOther  = '?' // a third certificate
	signFailed = '✗' // at least one handshake failed
)

// view renders the state of the rotation: a line, and below it one for each address.
func (r *rotation) view() string {
	lines := []string{r.status()}
	width := 0
	for _, s := range r.rec.Addresses() {
		width = max(width, len(s.Name))
	}
	for i, s := range r.rec.Addresses() {
		if i == viewEndpoints {
			lines = append(lines, fmt.Sprintf("and %d more addresses", len(r.rec.Addresses())-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%-*s  %s  %s", width, s.Name, r.bar(s), r.counts(s)))
	}
	if r.rec.Failed() > 0 {
		lines = append(lines, "failed: "+r.rec.FailureClasses())
	}
	return strings.Join(lines, "\n")
}

// bar draws the newest handshakes of an address, the newest on the right.
func (r *rotation) bar(s *probe.Series) string {
	now := r.proof.env.Now().Sub(r.began)
	first := now - viewCells*viewCell
	var cells [viewCells]rune
	s.Newest(first, func(start time.Duration, print string) {
		if at := int((start - first) / viewCell); at < viewCells {
			cells[at] = join(cells[at], r.sign(print))
		}
	})
	for i, c := range cells {
		if c == 0 {
			cells[i] = signNone
		}
	}
	return string(cells[:])
}

func (r *rotation) sign(print string) rune {
	switch {
	case print == "":
		return signFailed
	case print == certs.Fingerprint(r.before.secret.Leaf()):
		return signOld
	case r.target != nil && print == certs.Fingerprint(r.target):
		return signNew
	}
	return signOther
}

// join puts two signs into one cell: the more important one stays.
func join(a, b rune) rune {
	switch {
	case a == 0 || a == b:
		return b
	case a == signFailed || b == signFailed:
		return signFailed
	case a == signOther || b == signOther:
		return signOther
	}
	return signMixed
}

// counts renders how often an address showed the old, the new and other certificates.
func (r *rotation) counts(s *probe.Series) string {
	var before, after, other int
	for print, n := range s.Shown {
		switch r.sign(print) {
		case signOld:
			before += n
		case signNew:
			after += n
		default:
			other += n
		}
	}
	text := fmt.Sprintf("old %d, new %d", before, after)
	if other > 0 {
		text += fmt.Sprintf(", other %d", other)
	}
	if s.Failures > 0 {
		text += fmt.Sprintf(", failed %d", s.Failures)
	}
	return text
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
