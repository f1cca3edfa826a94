package engine

import (
	"fmt"
	"strings"
)

// A Result is the end of a run. [ResultOf] is the only place that decides it;
// every output of a run shows it.
type Result string

// The results.
const (
	ResultProved      Result = "proved"      // every step that ran converged, and every proof of the plan held
	ResultConverged   Result = "converged"   // the same, but proofs were skipped, or the plan has none
	ResultAwaiting    Result = "awaiting"    // nothing failed, and the rest waits for a person
	ResultNotRun      Result = "not-run"     // dry run: nothing differs; nothing was written and no proof was run
	ResultDiffers     Result = "differs"     // dry run: there are differences
	ResultFailed      Result = "failed"      // a step failed, or the run was stopped before every step had its turn
	ResultInterrupted Result = "interrupted" // the user stopped the run
)

// An Ending is the way a run came to its end, apart from its steps.
type Ending struct {
	DryRun      bool
	Interrupted bool // by the user
	Cut         bool // steps did not get their turn
}

// ResultOf returns the result of a run from the counts of its summary.
func ResultOf(s Summary, how Ending) Result {
	switch {
	case how.Interrupted:
		return ResultInterrupted
	case s.Failed > 0 || how.Cut:
		return ResultFailed
	case how.DryRun && s.Pending > 0:
		return ResultDiffers
	case s.Awaiting > 0:
		return ResultAwaiting
	case how.DryRun:
		return ResultNotRun
	case s.Proofs > 0 && s.Proved == s.Proofs:
		return ResultProved
	}
	return ResultConverged
}

// Outcome returns the result in words: "converged, 2 proofs skipped".
func (s Summary) Outcome() string {
	switch s.Result {
	case ResultConverged:
		switch n := s.Proofs - s.Proved; {
		case s.Proofs == 0:
			return "converged, no proofs in the plan"
		case n == 1:
			return "converged, 1 proof skipped"
		default:
			return fmt.Sprintf("converged, %d proofs skipped", n)
		}
	case ResultNotRun:
		switch {
		case s.Unchanged == 0:
			return "not run (dry run)"
		case s.Proofs == 0:
			return "nothing differs (dry run)"
		case s.Proofs == 1:
			return "nothing differs, 1 proof not run (dry run)"
		default:
			return fmt.Sprintf("nothing differs, %d proofs not run (dry run)", s.Proofs)
		}
	case ResultAwaiting:
		return strings.TrimSpace("awaiting " + strings.Join(s.Awaits, ", "))
	case ResultDiffers:
		return "differs (dry run)"
	}
	return string(s.Result)
}
