package command

import (
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// A verified is the form of a verification for programs.
type verified struct {
	Holds   bool             `json:"holds"`
	Reports []verifiedReport `json:"reports"`
	Merged  *verifiedMerged  `json:"merged,omitempty"` // of several reports that hold
}

type verifiedReport struct {
	Folder string         `json:"folder"`
	Holds  bool           `json:"holds"`
	Signed bool           `json:"signed"` // by the key of --key
	Fleet  string         `json:"fleet,omitempty"`
	Hub    string         `json:"hub,omitempty"`
	Run    string         `json:"run,omitempty"`
	Result string         `json:"result,omitempty"`
	Counts map[string]int `json:"counts,omitempty"`
	Root   string         `json:"root,omitempty"`
	Checks []verify.Check `json:"checks"`
}

type verifiedMerged struct {
	Result string         `json:"result"`
	Counts map[string]int `json:"counts"`
	Root   string         `json:"root"` // over the reports
	Check  verify.Check   `json:"check"`
}

func (v *verified) add(dir string, r *ledger.Report) {
	one := verifiedReport{Folder: dir, Holds: r.Holds(), Signed: r.Signed, Checks: r.Checks}
	if h := r.Head; h != nil {
		one.Fleet, one.Hub, one.Run, one.Result, one.Counts, one.Root = h.Fleet, h.Hub, h.Run, h.Result, h.Counts, h.Root
	}
	v.Holds = v.Holds && one.Holds
	v.Reports = append(v.Reports, one)
}

func (v *verified) merge(m *ledger.Merged) {
	v.Holds = m.Check.Holds()
	v.Merged = &verifiedMerged{m.Result, m.Counts, m.Root, m.Check}
}
