package verdict_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/verdict"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/evidencetest"
)

func TestDemands(t *testing.T) {
	d := evidencetest.Document(t, "passed")
	now := d.Run.Ended.Add(10 * time.Second)
	for _, c := range []struct {
		name   string
		change func(*evidence.Document)
		asked  verdict.Demands
		want   string // a problem, "" for none
	}{
		{"proved", nil, verdict.Demands{Proved: true, Steps: []string{"site", "rotation"}, MaxAge: time.Hour}, ""},
		{"failed", func(d *evidence.Document) { d.Run.Result = "failed" }, verdict.Demands{Proved: true}, "the run is not proved: failed"},
		{"skipped", func(d *evidence.Document) {
			d.Run.Result, d.Steps[4].State, d.Summary.Proved = "converged", "skipped", 2
		}, verdict.Demands{Proved: true, Steps: []string{"rotation"}}, "the run is not proved: converged, 1 proof skipped: rotation; step rotation did not hold: skipped"},
		{"dry run", func(d *evidence.Document) { d.Run.Result, d.Summary.Unchanged = "not-run", 0 }, verdict.Demands{Proved: true}, "the run is not proved: not run (dry run)"},
		{"instances", func(d *evidence.Document) {
			for i, s := range d.Steps {
				d.Steps[i].ID = "proofs[" + s.ID + "]"
			}
			d.Steps = d.Steps[4:]
			d.Steps[0].State = "skipped"
		}, verdict.Demands{Steps: []string{"proofs"}}, "step proofs[rotation] did not hold: skipped"},
		{"no proof", nil, verdict.Demands{Steps: []string{"vault"}}, "step vault is no proof: helmInstall, changed"},
		{"no step", nil, verdict.Demands{Steps: []string{"rotate"}}, "step rotate is not in the plan"},
		{"old", func(d *evidence.Document) { d.Run.Ended = d.Run.Ended.Add(-2 * time.Hour) }, verdict.Demands{MaxAge: 90 * time.Minute}, "the run ended 2h0m10s ago"},
		{"from the future", func(d *evidence.Document) { d.Run.Ended = d.Run.Ended.Add(time.Hour) }, verdict.Demands{MaxAge: time.Hour}, "ended in the future"},
	} {
		d := *d
		d.Steps = append([]evidence.Step{}, d.Steps...)
		if c.change != nil {
			c.change(&d)
		}
		check := c.asked.Check(&d, now)
		got := strings.Join(check.Problems, "; ")
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
