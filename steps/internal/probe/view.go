package probe

import (
	"fmt"
	"time"
)

// The view of a record: for each of some addresses the newest handshakes, in cells of a
// span each.
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

// A View draws the newest probes of a record, in text.
type View struct {
	Record *Record
	Now    time.Duration // since the record began
	Old    string        // fingerprint of the certificate before
	New    string        // fingerprint of the certificate after; "" if there is none yet
}

// Lines returns a line for each address, and one about the failures if there are any.
func (v View) Lines() []string {
	var lines []string
	width := 0
	for _, s := range v.Record.Addresses() {
		width = max(width, len(s.Name))
	}
	for i, s := range v.Record.Addresses() {
		if i == viewEndpoints {
			lines = append(lines, fmt.Sprintf("and %d more addresses", len(v.Record.Addresses())-i))
			break
		}
		lines = append(lines, fmt.Sprintf("%-*s  %s  %s", width, s.Name, v.bar(s), v.counts(s)))
	}
	if v.Record.Failed() > 0 {
		lines = append(lines, "failed: "+v.Record.FailureClasses())
	}
	return lines
}

// bar draws the newest handshakes of an address, the newest on the right.
func (v View) bar(s *Series) string {
	first := v.Now - viewCells*viewCell
	var cells [viewCells]rune
	s.Newest(first, func(start time.Duration, print string) {
		if at := int((start - first) / viewCell); at < viewCells {
			cells[at] = join(cells[at], v.sign(print))
		}
	})
	for i, c := range cells {
		if c == 0 {
			cells[i] = signNone
		}
	}
	return string(cells[:])
}

func (v View) sign(print string) rune {
	switch {
	case print == "":
		return signFailed
	case print == v.Old:
		return signOld
	case print == v.New:
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
func (v View) counts(s *Series) string {
	var before, after, other int
	for print, n := range s.Shown {
		switch v.sign(print) {
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

// A Pace is the number of probes that end in a second. It begins at a moment without any.
type Pace struct {
	At   time.Time
	Rate float64

	attempts int
}

// Update computes the rate since the last update.
func (p *Pace) Update(now time.Time, attempts int) {
	if took := now.Sub(p.At).Seconds(); took > 0 {
		p.Rate = float64(attempts-p.attempts) / took
	}
	p.At, p.attempts = now, attempts
}
