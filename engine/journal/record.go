package journal

import (
	"time"

	"github.com/ztplan/ztplan/engine"
)

// Version is the version of the form; it is in each file's first record.
const Version = 1

// Kept is how many files are kept for each plan.
const Kept = 20

// A Type is the subject of a Record.
type Type string

// The types; see the package's doc.
const (
	Run     Type = "run"
	Intent  Type = "intent"
	Done    Type = "done"
	Failed  Type = "failed"
	Unknown Type = "unknown"
	End     Type = "end"
)

// A Record is one line of a journal.
type Record struct {
	Seq  int       `json:"seq"`
	Prev string    `json:"prev"`
	Time time.Time `json:"time"`
	Type Type      `json:"record"`

	Version int      `json:"version,omitempty"`
	Run     string   `json:"run,omitempty"`
	Plan    string   `json:"plan,omitempty"`
	File    string   `json:"file,omitempty"` // absolute path of the plan
	Host    string   `json:"host,omitempty"`
	PID     int      `json:"pid,omitempty"`
	Locked  bool     `json:"locked,omitempty"`
	Server  string   `json:"server,omitempty"`  // address of the API server
	Made    []Made   `json:"made,omitempty"`    // by earlier runs, in steps that the plan has
	Told    []string `json:"told,omitempty"`    // removed steps that the run reported
	Dropped []Made   `json:"dropped,omitempty"` // things that its steps do not ask for any more and the run reported

	Step    string  `json:"step,omitempty"`
	Kind    string  `json:"kind,omitempty"`
	Path    string  `json:"path,omitempty"`
	Proof   bool    `json:"proof,omitempty"` // the step is a proof
	Attempt int     `json:"attempt,omitempty"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds,omitempty"`

	Summary *engine.Summary `json:"summary,omitempty"`
}

// Made holds the things that runs of a plan made or changed in one step: paths of edits that
// were applied, or may have been. Later changes of them are not known.
type Made struct {
	Step  string   `json:"step"`
	Kind  string   `json:"kind"`
	Paths []string `json:"paths"`
}
