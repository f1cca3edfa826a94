package assertrotation

import (
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/evidence"
)

// A damage is what a rotation knows of the fault that was made during it.
type damage struct {
	pods  []string  // that were deleted
	began time.Time // when the first was
	over  time.Time // when as many as before were ready; zero until then
	state string    // of the pods, while they are on their way
}

// suffer takes in what the fault told.
func (r *rotation) suffer(m mishap) {
	d := &r.fault
	if m.note != "" && m.hop == "" {
		d.state = m.note
	}
	switch m.hop {
	case hopFault:
		d.pods = append(d.pods, m.pods...)
		if d.began.IsZero() {
			d.began = m.at
		}
		r.line.mark(hopFault, m.at, m.note)
	case hopUnsealed:
		r.line.mark(hopUnsealed, m.at, "")
	case hopRestored:
		d.over = m.at
		r.line.mark(hopRestored, m.at, fmt.Sprintf("%s after %s", d.over.Sub(d.began).Round(time.Millisecond), hopFault))
	}
	if m.late && r.end == "" {
		r.end = endDown
	}
}

// suffering reports whether a fault is planned that is not over.
func (r *rotation) suffering() bool { return r.proof.spec.During != nil && r.fault.over.IsZero() }

// caughtUp returns how long it took from the end of the fault until every
// address showed only the new certificate and answered every probe; false if
// that did not happen.
func (r *rotation) caughtUp() (time.Duration, bool) {
	at, ok := r.line.when(hopCaughtUp)
	return at.Sub(r.fault.over), ok
}

// checkRestored: what was broken came back.
func checkRestored(r *rotation) engine.Finding {
	d := r.proof.spec.During
	f := engine.Finding{Rule: fmt.Sprintf("%s is back within %s", d.Restart, engine.Duration(d.maxDown())), Want: engine.Duration(d.maxDown()).String()}
	switch {
	case r.fault.began.IsZero():
		f.Detail = "the rotation ended before its pods were deleted"
		return f
	case r.fault.over.IsZero():
		f.Have = "more than " + r.ended.Sub(r.fault.began).Round(time.Millisecond).String()
		f.Detail = fmt.Sprintf("deleted: pod %s; %s; hops: %s", strings.Join(r.fault.pods, ", "), r.fault.state, r.line.hops())
		return f
	}
	down := r.fault.over.Sub(r.fault.began)
	f.Holds, f.Have = down <= d.maxDown(), down.Round(time.Millisecond).String()
	f.Detail = "from the deletion of pod " + strings.Join(r.fault.pods, ", ") + " until as many as before were ready"
	return f
}

// checkCatchUp: the rotation went on when what was broken had come back.
func checkCatchUp(r *rotation) engine.Finding {
	d := r.proof.spec.During
	limit := engine.Duration(d.maxCatchUp())
	f := engine.Finding{Rule: fmt.Sprintf("the new certificate is on the wire within %s after %s is back", limit, d.Restart), Want: limit.String()}
	if lag, ok := r.caughtUp(); ok {
		f.Holds, f.Have = lag <= limit.Std(), lag.Round(time.Millisecond).String()
		return f
	}
	f.Have = "more than " + r.ended.Sub(r.fault.over).Round(time.Millisecond).String()
	f.Detail = "hops: " + r.line.hops()
	return f
}

// between counts the failed probes that were begun while the fault lasted.
func (r *rotation) between() int {
	n := 0
	for _, s := range r.rec.series {
		for _, one := range s.trace.runs {
			at := r.began.Add(one.first)
			if one.cert == "" && !at.Before(r.fault.began) && (r.fault.over.IsZero() || at.Before(r.fault.over)) {
				n += one.count
			}
		}
	}
	return n
}

// evidence puts the fault on record.
func (d damage) evidence(spec *During) evidence.Fault {
	if spec == nil || d.began.IsZero() {
		return evidence.Fault{}
	}
	return evidence.Fault{Part: spec.Restart, Pods: d.pods, Began: d.began, Ended: d.over}
}
