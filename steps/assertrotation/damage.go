package assertrotation

import (
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// A damage is what a rotation knows of the fault that was made during it.
type damage struct {
	deletions []evidence.Deletion
	limit     time.Duration // from the first one until the part is back
	began     time.Time     // just before the first one
	away      time.Time     // since when no pod of the part could do its work; zero until then
	still     time.Time     // when that was so, after the renewal had been asked for; zero if it was not
	over      time.Time     // when all of the deleted pods were gone and as many as before were ready; zero until then
	never     bool          // there was no time without a pod that could do its work
	state     string        // of the pods, while they are on their way
}

// pods are the names of the deleted pods.
func (d damage) pods() []string {
	list := make([]string, len(d.deletions))
	for i, one := range d.deletions {
		list[i] = one.Pod
	}
	return list
}

// suffer takes in what the fault told.
func (r *rotation) suffer(m mishap) {
	d := &r.fault
	if m.note != "" && m.hop == "" {
		d.state = m.note
	}
	if m.deletions != nil {
		d.deletions = m.deletions
	}
	if m.away {
		d.away = m.at
	}
	switch m.hop {
	case hopFault:
		d.began, d.limit = m.at, m.limit
		r.line.mark(hopFault, m.at, m.note)
	case hopUnsealed:
		r.line.mark(hopUnsealed, m.at, "")
	case hopRestored:
		d.over = m.at
		r.line.mark(hopRestored, m.at, fmt.Sprintf("%s after %s", d.over.Sub(d.began).Round(time.Millisecond), hopFault))
	}
	d.never = d.never || m.never
	if (m.late || m.never) && r.end == "" {
		r.end = endDown
	}
}

// maxDown is how long the part may be away. Without a limit in the plan it is
// known when the pods are.
func (r *rotation) maxDown() time.Duration {
	if r.fault.limit > 0 {
		return r.fault.limit
	}
	return r.proof.spec.During.maxDown(nil)
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
	limit := engine.Duration(r.maxDown())
	f := engine.Finding{Rule: fmt.Sprintf("%s is back within %s", d.Restart, limit), Want: limit.String()}
	switch {
	case r.fault.began.IsZero():
		f.Detail = "the rotation ended before its pods were deleted"
		return f
	case r.fault.over.IsZero():
		f.Have = "more than " + r.ended.Sub(r.fault.began).Round(time.Millisecond).String()
		f.Detail = fmt.Sprintf("deleted: pod %s; %s; hops: %s", strings.Join(r.fault.pods(), ", "), r.fault.state, r.line.hops())
		return f
	}
	down := r.fault.over.Sub(r.fault.began)
	f.Holds, f.Have = down <= limit.Std(), down.Round(time.Millisecond).String()
	f.Detail = "from the deletion of pod " + strings.Join(r.fault.pods(), ", ") + " until it was gone and as many as before were ready"
	return f
}

// askedAway reports whether the renewal was asked for while no pod of the part
// could do its work.
func (r *rotation) askedAway() bool {
	asked, ok := r.line.when(hopAsked)
	return ok && !r.fault.away.IsZero() && !asked.Before(r.fault.away) && !r.fault.still.IsZero()
}

// checkAway: the renewal fell due while what was broken could not act on it.
func checkAway(r *rotation) engine.Finding {
	f := engine.Finding{Rule: fmt.Sprintf("the renewal is asked for while %s is away", r.proof.spec.During.Restart), Holds: r.askedAway()}
	asked, ok := r.line.when(hopAsked)
	switch {
	case f.Holds:
		f.Detail = fmt.Sprintf("%s after none of its pods could do its work any more", asked.Sub(r.fault.away).Round(time.Millisecond))
	case r.fault.never:
		f.Detail = errNoGap.Error() + ": pod " + strings.Join(r.fault.pods(), ", ")
	case ok:
		f.Detail = "one of its pods was ready before the renewal was accepted"
	default:
		f.Detail = "it was not asked for"
	}
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

// evidence puts the fault on record.
func (d damage) evidence(spec *During) evidence.Fault {
	if spec == nil || d.began.IsZero() {
		return evidence.Fault{}
	}
	return evidence.Fault{
		Part: spec.Restart, Pods: d.pods(), Deletions: d.deletions,
		Began: d.began, Away: d.away, StillAway: d.still, Ended: d.over,
	}
}
