// Package history describes past runs by their journals: for a table of runs, and
// for one run with its edits.
package history

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
)

// The values of Run.Result for runs without a result of their own.
const (
	Running = "running"
	CutOff  = "cut-off" // it was killed: the journal has no end
	Unknown = "unknown" // it runs or was killed, or the end of its journal is damaged
)

// A Run is one past run of a plan.
type Run struct {
	ID     string `json:"id"`
	Plan   string `json:"plan"` // the plan's metadata.name
	File   string `json:"file"` // absolute path of the plan
	Server string `json:"server,omitempty"`
	Host   string `json:"host,omitempty"`

	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"` // duration, as far as the journal goes
	Result  string    `json:"result"`  // an engine.Result, running, cut-off or unknown
	Outcome string    `json:"outcome"` // the result in words

	Edits      int             `json:"edits"`      // applied by steps that are no proofs
	ProofEdits int             `json:"proofEdits"` // applied by proofs
	Unfinished int             `json:"unfinished"` // edits of which it is not known whether they took effect
	Summary    *engine.Summary `json:"summary,omitempty"`

	Journal string `json:"journal"`          // path of the file
	Damage  string `json:"damage,omitempty"` // why its later records cannot be read
}

// A Detail is a run with its edits.
type Detail struct {
	Run
	Changes []Edit `json:"changes"` // in the order in which they began
}

// An Edit is one edit that a run began.
type Edit struct {
	Step    string       `json:"step"`
	Kind    string       `json:"kind"`
	Path    string       `json:"path"`
	Proof   bool         `json:"proof,omitempty"`
	Attempt int          `json:"attempt,omitempty"`
	Began   time.Time    `json:"began"`
	Seconds float64      `json:"seconds"`
	Outcome journal.Type `json:"outcome"` // done, failed or unknown; intent if the journal has no outcome
	Error   string       `json:"error,omitempty"`
}

// New describes the run of a journal.
func New(r *journal.Report) Run {
	out := Run{
		ID: r.Run.Run, Plan: r.Run.Plan, File: r.Run.File, Server: r.Run.Server, Host: r.Run.Host,
		Began: r.Run.Time, Seconds: r.Records[len(r.Records)-1].Time.Sub(r.Run.Time).Seconds(),
		Unfinished: len(r.Unfinished), Summary: r.Summary(), Journal: r.Path,
	}
	for _, rec := range r.Records {
		switch {
		case rec.Type != journal.Done:
		case rec.Proof:
			out.ProofEdits++
		default:
			out.Edits++
		}
	}
	switch {
	case out.Summary != nil:
		out.Seconds = out.Summary.WallSeconds
		out.Result, out.Outcome = cmp.Or(string(out.Summary.Result), Unknown), cmp.Or(out.Summary.Outcome(), "ended without a result")
	case r.Alive:
		out.Result, out.Outcome = Running, Running
	case r.Damage != nil:
		out.Result, out.Outcome = Unknown, "not known: the journal is damaged"
	case r.Run.Locked:
		out.Result, out.Outcome = CutOff, "cut off"
	default: // there was no lock to tell by
		out.Result, out.Outcome = Unknown, "running or cut off"
	}
	if r.Damage != nil {
		out.Damage = r.Damage.Error()
	}
	return out
}

// Runs describes the runs of journals.
func Runs(reports []*journal.Report) []Run {
	out := make([]Run, len(reports))
	for i, r := range reports {
		out[i] = New(r)
	}
	return out
}

// NewDetail describes the run of a journal with its edits.
func NewDetail(r *journal.Report) Detail {
	out := Detail{Run: New(r), Changes: []Edit{}}
	for _, rec := range r.Records {
		switch rec.Type {
		case journal.Intent:
			out.Changes = append(out.Changes, Edit{
				Step: rec.Step, Kind: rec.Kind, Path: rec.Path, Proof: rec.Proof, Attempt: rec.Attempt, Began: rec.Time, Outcome: journal.Intent,
			})
		case journal.Done, journal.Failed, journal.Unknown:
			for i, e := range slices.Backward(out.Changes) {
				if e.Step == rec.Step && e.Path == rec.Path && e.Outcome == journal.Intent {
					out.Changes[i].Outcome, out.Changes[i].Error, out.Changes[i].Seconds = rec.Type, rec.Error, rec.Seconds
					break
				}
			}
		}
	}
	return out
}

// Find returns the run whose id is id or begins with it. Of several it is none.
func Find(reports []*journal.Report, id string) (*journal.Report, error) {
	var found []*journal.Report
	for _, r := range reports {
		if r.Run.Run == id {
			return r, nil
		}
		if strings.HasPrefix(r.Run.Run, id) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return nil, engine.WithHint(fmt.Errorf("there is no run %q", id), "ztplan runs lists the runs; with --lab, those on the lab")
	case 1:
		return found[0], nil
	}
	return nil, engine.WithHint(fmt.Errorf("%d runs begin with %q", len(found), id), "write more of the id: "+found[0].Run.Run)
}

// Elsewhere returns a remark that the last run of a plan, which may be nil, was about
// another cluster, or "".
func Elsewhere(where journal.Plan, last *journal.Report) string {
	if last == nil || where.Server == "" || last.Run.Server == "" || last.Run.Server == where.Server {
		return ""
	}
	return fmt.Sprintf("this is the cluster at %s; the last run of this plan, of %s, was on the one at %s",
		where.Server, last.Run.Time.Local().Format(time.DateTime), last.Run.Server)
}
