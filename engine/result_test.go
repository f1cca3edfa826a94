package engine_test

import (
	"testing"

	"github.com/ztplan/ztplan/engine"
)

func TestResult(t *testing.T) {
	for _, c := range []struct {
		name    string
		summary engine.Summary
		how     engine.Ending
		want    engine.Result
		words   string
	}{
		{"every proof held", engine.Summary{Changed: 3, Proofs: 2, Proved: 2}, engine.Ending{}, engine.ResultProved, "proved"},
		{"a step left out, every proof held", engine.Summary{Skipped: 1, Proofs: 2, Proved: 2}, engine.Ending{}, engine.ResultProved, "proved"},
		{"one proof skipped", engine.Summary{Skipped: 1, Proofs: 2, Proved: 1}, engine.Ending{}, engine.ResultConverged, "converged, 1 proof skipped"},
		{"all proofs skipped", engine.Summary{Skipped: 2, Proofs: 2}, engine.Ending{}, engine.ResultConverged, "converged, 2 proofs skipped"},
		{"no proofs", engine.Summary{Unchanged: 1}, engine.Ending{}, engine.ResultConverged, "converged, no proofs in the plan"},
		{"a failure", engine.Summary{Failed: 1, Proofs: 1, Proved: 1}, engine.Ending{}, engine.ResultFailed, "failed"},
		{"a failed dry run", engine.Summary{Failed: 1, Pending: 1}, engine.Ending{DryRun: true}, engine.ResultFailed, "failed"},
		{"the lock was lost", engine.Summary{Proofs: 1, Proved: 1, Skipped: 1}, engine.Ending{Cut: true}, engine.ResultFailed, "failed"},
		{"a person has to sign", engine.Summary{Awaiting: 2, Awaits: []string{"signature"}, Skipped: 3, Proofs: 1}, engine.Ending{}, engine.ResultAwaiting, "awaiting signature"},
		{"awaiting, and every proof held", engine.Summary{Awaiting: 1, Awaits: []string{"signature", "approval"}, Proofs: 1, Proved: 1}, engine.Ending{}, engine.ResultAwaiting, "awaiting signature, approval"},
		{"awaiting, and a failure", engine.Summary{Awaiting: 1, Failed: 1}, engine.Ending{}, engine.ResultFailed, "failed"},
		{"a dry run that awaits", engine.Summary{Awaiting: 1, Awaits: []string{"signature"}}, engine.Ending{DryRun: true}, engine.ResultAwaiting, "awaiting signature"},
		{"a dry run that awaits and differs", engine.Summary{Awaiting: 1, Pending: 1}, engine.Ending{DryRun: true}, engine.ResultDiffers, "differs (dry run)"},
		{"interrupted", engine.Summary{Failed: 1}, engine.Ending{Interrupted: true, Cut: true}, engine.ResultInterrupted, "interrupted"},
		{"a dry run with differences", engine.Summary{Pending: 1, Proofs: 1}, engine.Ending{DryRun: true}, engine.ResultDiffers, "differs (dry run)"},
		{"a dry run without differences", engine.Summary{Unchanged: 2, Proofs: 3}, engine.Ending{DryRun: true}, engine.ResultNotRun, "nothing differs, 3 proofs not run (dry run)"},
		{"a dry run without proofs", engine.Summary{Unchanged: 2}, engine.Ending{DryRun: true}, engine.ResultNotRun, "nothing differs (dry run)"},
		{"a dry run of proofs", engine.Summary{Proofs: 3}, engine.Ending{DryRun: true}, engine.ResultNotRun, "not run (dry run)"},
	} {
		s := c.summary
		s.Result = engine.ResultOf(s, c.how)
		if s.Result != c.want || s.Outcome() != c.words {
			t.Errorf("%s: %s, %q, want %s, %q", c.name, s.Result, s.Outcome(), c.want, c.words)
		}
	}
}
