package verdict

import (
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// demands is the name of the check of Demands.
const demands = "demands"

// Demands are demands on a run, beyond evidence that holds.
type Demands struct {
	Proved bool          // the result
	Steps  []string      // ids of proofs that held; that of a step with forEach is all of its instances
	MaxAge time.Duration // since the run ended; 0 for any
}

// Any reports whether there is a demand.
func (f Demands) Any() bool { return f.Proved || len(f.Steps) > 0 || f.MaxAge > 0 }

// Check checks the demands on a run.
func (f Demands) Check(d *evidence.Document, now time.Time) verify.Check {
	c := verify.Check{Name: demands}
	add := func(format string, args ...any) { c.Problems = append(c.Problems, fmt.Sprintf(format, args...)) }
	var did []string
	if f.Proved {
		did = append(did, "the run is proved")
		if d.Result() != engine.ResultProved {
			add("the run is not proved: %s%s", d.Outcome(), listed(": ", d.ProofsLeft()))
		}
	}
	for _, id := range f.Steps {
		did = append(did, "step "+id+" held")
		found := false
		for _, s := range d.Steps {
			if s.ID != id && !strings.HasPrefix(s.ID, id+"[") { // an instance of it
				continue
			}
			found = true
			switch {
			case s.State == "proved":
			case s.Proof:
				add("step %s did not hold: %s", s.ID, s.State)
			default:
				add("step %s is no proof: %s, %s", s.ID, s.Kind, s.State)
			}
		}
		if !found {
			add("step %s is not in the plan", id)
		}
	}
	if f.MaxAge > 0 {
		did = append(did, "ended at most "+f.MaxAge.String()+" ago")
		switch age := now.Sub(d.Run.Ended).Round(time.Second); {
		case age > f.MaxAge:
			add("the run ended %s ago, at %s", age, d.Run.Ended.Format(time.RFC3339))
		case age < -time.Minute:
			add("the run ended in the future, at %s: compare the clocks", d.Run.Ended.Format(time.RFC3339))
		}
	}
	c.Did = strings.Join(did, ", ")
	return c
}

func listed(before string, ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return before + strings.Join(ids, ", ")
}
