package assertrotation

import (
	"slices"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/carollover"
)

// An authorityChange is the rollover of a rotation.
type authorityChange struct {
	rollover  *carollover.Rollover // nil unless the intermediate changes
	stage     string               // the present one
	begun     bool                 // the measured certificate has arrived, the others follow
	unfit     bool                 // the measurement before that failed
	settled   bool                 // the rollover has ended
	completed bool                 // the new intermediate has replaced the old one
}

// pending reports whether the intermediate may still change.
func (c *authorityChange) pending() bool { return c.rollover != nil && !c.settled && !c.unfit }

// handleRollover applies the progress of the rollover.
func (r *rotation) handleRollover(p carollover.Progress) {
	if p.Stage != "" {
		r.stage = p.Stage
	}
	if p.Milestone != "" {
		r.line.Mark(p.Milestone, p.At, p.Note)
	}
	if p.Done {
		r.settled, r.completed = true, r.rollover.Completed()
	}
}

// continueRollover lets the rollover go on when the measured certificate has arrived
// and every check holds so far; if one does not, the rotation ends and the old
// intermediate signs again.
func (r *rotation) continueRollover() {
	if !r.pending() || r.begun || !r.arrived() {
		return
	}
	now := r.proof.env.Now()
	sofar := *r
	sofar.ended = now
	sofar.gap, _, _ = r.rec.LongestGap(now)
	if !allHold(slices.Concat(sofar.judgeCertificate(), []engine.Finding{checkServed(&sofar)}, sofar.judgeClients())) {
		r.unfit = true
		return
	}
	r.begun = true
	r.rollover.Proceed()
}
