package disrupt

import (
	"time"

	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/timeline"
)

// Progress is a report of a disruption: a milestone, the state that it waits in, or
// its end.
type Progress struct {
	Milestone timeline.Milestone // "" for none
	At        time.Time
	Note      string
	Limit     time.Duration // for the part to be back, with timeline.Disrupted
	Away      bool          // no pod of the part can do its work, since At
	Err       error         // the disruption could not be made or restored
	Late      bool          // the part is not back in time; Note is the reason
	Never     bool          // the part is back and never was away

	// Deletions are all pods that were deleted so far; nil if that did not
	// change.
	Deletions []evidence.Deletion
}

// An Outcome sums up the progress of a disruption.
type Outcome struct {
	Deletions []evidence.Deletion
	Limit     time.Duration // for the part to be back, from Began; 0 until then
	Began     time.Time     // just before the first deletion
	Away      time.Time     // since when no pod of the part could do its work; zero until then
	Still     time.Time     // when that was so after the renewal had been asked for; zero if it was not
	Over      time.Time     // when all deleted pods were gone and as many as before were ready; zero until then
	Never     bool          // there was no time without a pod that could do its work
	State     string        // of the pods, while they are replaced
}

// Pods returns the names of the deleted pods.
func (o *Outcome) Pods() []string {
	list := make([]string, len(o.Deletions))
	for i, one := range o.Deletions {
		list[i] = one.Pod
	}
	return list
}

// Handle applies a progress.
func (o *Outcome) Handle(p Progress) {
	if p.Note != "" && p.Milestone == "" {
		o.State = p.Note
	}
	if p.Deletions != nil {
		o.Deletions = p.Deletions
	}
	if p.Away {
		o.Away = p.At
	}
	switch p.Milestone {
	case timeline.Disrupted:
		o.Began, o.Limit = p.At, p.Limit
	case timeline.Restored:
		o.Over = p.At
	}
	o.Never = o.Never || p.Never
}

// DownLimit returns how long the part may be away. Without a limit in the plan it is
// known with the pods.
func (o *Outcome) DownLimit(s *Spec) time.Duration {
	if o.Limit > 0 {
		return o.Limit
	}
	return s.downLimit(nil)
}

// AwayAt reports whether the part was away at a moment and still was when the
// renewal had been accepted.
func (o *Outcome) AwayAt(at time.Time) bool {
	return !o.Away.IsZero() && !at.Before(o.Away) && !o.Still.IsZero()
}

// Evidence puts the disruption on record; the zero value if there was none.
func (o *Outcome) Evidence(s *Spec) evidence.Fault {
	if s == nil || o.Began.IsZero() {
		return evidence.Fault{}
	}
	return evidence.Fault{
		Part: s.Restart, Pods: o.Pods(), Deletions: o.Deletions,
		Began: o.Began, Away: o.Away, StillAway: o.Still, Ended: o.Over,
	}
}
