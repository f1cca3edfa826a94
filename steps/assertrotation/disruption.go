package assertrotation

import (
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
	"github.com/ztplan/ztplan/steps/internal/timeline"
)

// handleDisruption applies the progress of the disruption.
func (r *rotation) handleDisruption(p disrupt.Progress) {
	r.disruption.Handle(p)
	switch p.Milestone {
	case timeline.Disrupted:
		r.line.Mark(timeline.Disrupted, p.At, p.Note)
	case timeline.Unsealed:
		r.line.Mark(timeline.Unsealed, p.At, "")
	case timeline.Restored:
		r.line.Mark(timeline.Restored, p.At, fmt.Sprintf("%s after %s", p.At.Sub(r.disruption.Began).Round(time.Millisecond), timeline.Disrupted))
	}
	if (p.Late || p.Never) && r.end == "" {
		r.end = endDown
	}
}

// maxDown returns how long the part may be away.
func (r *rotation) maxDown() time.Duration { return r.disruption.DownLimit(r.proof.spec.During) }

// disrupted reports whether a disruption is planned that is not over.
func (r *rotation) disrupted() bool { return r.proof.spec.During != nil && r.disruption.Over.IsZero() }

// caughtUp returns how long it took from the end of the disruption until every
// address showed only the new certificate and answered every probe; false if
// that did not happen.
func (r *rotation) caughtUp() (time.Duration, bool) {
	at, ok := r.line.When(timeline.CaughtUp)
	return at.Sub(r.disruption.Over), ok
}

// checkRestored: the part came back.
func checkRestored(r *rotation) engine.Finding {
	d := r.proof.spec.During
	limit := engine.Duration(r.maxDown())
	f := engine.Finding{Rule: fmt.Sprintf("%s is back within %s", d.Restart, limit), Want: limit.String()}
	switch {
	case r.disruption.Began.IsZero():
		f.Detail = "the rotation ended before its pods were deleted"
		return f
	case r.disruption.Over.IsZero():
		f.Have = "more than " + r.ended.Sub(r.disruption.Began).Round(time.Millisecond).String()
		f.Cause = fmt.Sprintf("%s: %s", f.Have, r.disruption.State)
		f.Detail = fmt.Sprintf("deleted: pod %s; %s; hops: %s", strings.Join(r.disruption.Pods(), ", "), r.disruption.State, r.line.String())
		return f
	}
	down := r.disruption.Over.Sub(r.disruption.Began)
	f.Holds, f.Have = down <= limit.Std(), down.Round(time.Millisecond).String()
	f.Detail = "from the deletion of pod " + strings.Join(r.disruption.Pods(), ", ") + " until it was gone and as many as before were ready"
	return f
}

// askedAway reports whether the renewal was asked for while no pod of the part
// could do its work.
func (r *rotation) askedAway() bool {
	asked, ok := r.line.When(timeline.Asked)
	return ok && r.disruption.AwayAt(asked)
}

// backFirst reports whether a pod of the part was ready before the renewal was
// accepted.
func (r *rotation) backFirst() bool {
	_, asked := r.line.When(timeline.Asked)
	return asked && r.proof.spec.During.First() && !r.disruption.Never && !r.askedAway()
}

// checkAway: the renewal fell due while the part could not act on it.
func checkAway(r *rotation) engine.Finding {
	f := engine.Finding{Rule: fmt.Sprintf("the renewal is asked for while %s is away", r.proof.spec.During.Restart), Holds: r.askedAway()}
	asked, _ := r.line.When(timeline.Asked)
	switch {
	case f.Holds:
		f.Detail = fmt.Sprintf("%s after none of its pods could do its work any more", asked.Sub(r.disruption.Away).Round(time.Millisecond))
	case r.disruption.Never:
		f.Detail = disrupt.ErrNoGap.Error() + ": pod " + strings.Join(r.disruption.Pods(), ", ")
	case r.backFirst():
		f.Detail = "one of its pods was ready before the renewal was accepted"
	default:
		f.Detail = "it was not asked for"
	}
	return f
}

// checkCatchUp: the rotation went on when the part had come back.
func checkCatchUp(r *rotation) engine.Finding {
	d := r.proof.spec.During
	limit := engine.Duration(d.CatchUpLimit())
	f := engine.Finding{Rule: fmt.Sprintf("the new certificate is on the wire within %s after %s is back", limit, d.Restart), Want: limit.String()}
	if lag, ok := r.caughtUp(); ok {
		f.Holds, f.Have = lag <= limit.Std(), lag.Round(time.Millisecond).String()
		return f
	}
	f.Have = "more than " + r.ended.Sub(r.disruption.Over).Round(time.Millisecond).String()
	f.Cause = fmt.Sprintf("%s", f.Have)
	f.Detail = "hops: " + r.line.String()
	return f
}
