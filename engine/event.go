package engine

import "time"

// An Event is one thing that happened in a run. A run is one stream of events;
// text, JSON lines, GitHub annotations and the live view only read it.
//
// The record is flat: fields that do not apply are left out. Values are
// already redacted. A dry run prints the events step by step, in the order of
// the plan: those that come with a difference are the same from run to run.
type Event struct {
	// Schema names the form of the events on the first of a stream, and is left out on the
	// others.
	Schema string `json:"schema,omitempty"`

	Time   time.Time `json:"time"`
	Action Action    `json:"action"`
	Plan   string    `json:"plan,omitempty"` // the plan's metadata.name
	Step   string    `json:"step,omitempty"` // the step's id
	Kind   string    `json:"kind,omitempty"` // the step's kind

	// Proof is set if the step is a proof: on plan, and on the events of its
	// edits (differs, apply, applied, unknown).
	Proof bool `json:"proof,omitempty"`

	Attempt int    `json:"attempt,omitempty"` // round of writing or proving, from 1
	Path    string `json:"path,omitempty"`    // the edit's path, or the finding's rule
	Have    any    `json:"have,omitempty"`    // the present value, or the measured one; left out if none
	Want    any    `json:"want,omitempty"`    // the value that the plan asks for; with after, the step's inputs
	Message string `json:"message,omitempty"` // for people

	Error    string `json:"error,omitempty"`    // why it went wrong
	Hint     string `json:"hint,omitempty"`     // the next thing to do about it
	Next     string `json:"next,omitempty"`     // with fail: a command that does that, or shows more
	Position string `json:"position,omitempty"` // file:line:col of the step in the plan

	// Until is, with fail, until when the certificate is valid that clients are served.
	Until time.Time `json:"until,omitzero"`

	// Count is, with retry, how often this error came in a row; 0 means once.
	Count int `json:"count,omitempty"`

	// Seconds is the duration of the action that ends with this event.
	Seconds float64 `json:"seconds,omitempty"`

	// Needs lists the steps that this one depends on (action plan), the steps
	// whose failure, wait for a person or difference keeps it from running (skip, after), or those
	// after which a step of a dry run may differ, or differ otherwise, because
	// they do or are after others themselves (pending, unchanged).
	Needs []string `json:"needs,omitempty"`

	// Name and Data are a record for the evidence (action evidence): plain data whose form
	// depends on the name.
	Name string `json:"name,omitempty"`
	Data any    `json:"data,omitempty"`

	Outputs map[string]any `json:"outputs,omitempty"` // redacted, on converged and proved
	Summary *Summary       `json:"summary,omitempty"` // on end
}

// EventSchema names the form of the events. A field or an action may be added
// under the same name; when one changes its meaning or goes, the name changes.
// The form is in schemas/event.schema.json.
const EventSchema = "ztplan.dev/events/v1"

// An Action is the subject of an Event.
type Action string

// The actions, in the order in which a step sees them.
const (
	ActionPlan      Action = "plan"      // a step of the run, once each before any start
	ActionStart     Action = "start"     // the step begins to look
	ActionDiffers   Action = "differs"   // one edit that was found
	ActionApply     Action = "apply"     // the edit is about to be applied
	ActionApplied   Action = "applied"   // the edit was applied
	ActionUnknown   Action = "unknown"   // an edit was cut off: whether it took effect is not known
	ActionWait      Action = "wait"      // only others can remove the remaining differences
	ActionRetry     Action = "retry"     // another attempt follows
	ActionStatus    Action = "status"    // the present activity of the step
	ActionLog       Action = "log"       // detail
	ActionWarn      Action = "warn"      // a warning; without a step, about the plan
	ActionEvidence  Action = "evidence"  // a record for the evidence
	ActionFinding   Action = "finding"   // one rule of a proof that held
	ActionViolated  Action = "violated"  // one rule of a proof that did not hold
	ActionUnchanged Action = "unchanged" // converged, nothing was written; dry run: nothing differs
	ActionChanged   Action = "changed"   // converged, after writing
	ActionProved    Action = "proved"    // every rule of the proof held
	ActionAwaiting  Action = "awaiting"  // only things that a person has to give are left; message names them
	ActionPending   Action = "pending"   // dry run: differences found
	ActionAfter     Action = "after"     // dry run: known after other steps
	ActionWould     Action = "would"     // dry run: an action of a proof; with a path, one of its changes
	ActionSkip      Action = "skip"      // not run: when, --skip, or a need that failed or is awaiting something
	ActionFail      Action = "fail"      // the step failed
	ActionEnd       Action = "end"       // the run is over
)

// A Summary closes a run.
type Summary struct {
	// Result is the end of the run, and Proofs the number of proofs in the plan:
	// those that are not counted by Proved were skipped, failed, or not run.
	Result Result `json:"result,omitempty"`
	Proofs int    `json:"proofs,omitempty"`

	Unchanged int `json:"unchanged"`
	Changed   int `json:"changed"`
	Proved    int `json:"proved"`
	Awaiting  int `json:"awaiting,omitempty"`
	Pending   int `json:"pending,omitempty"`
	Skipped   int `json:"skipped"`
	Failed    int `json:"failed"`
	Edits     int `json:"edits"` // applied by steps that are no proofs, or in a dry run found
	Retries   int `json:"retries"`

	// Awaits lists the things that persons have to give to steps, each once: "signature".
	Awaits []string `json:"awaits,omitempty"`

	// ProofEdits counts the changes of proofs, or in a dry run those that they
	// declare. They are no differences: when everything has converged there are no
	// Edits, and its proofs make these every time.
	ProofEdits int `json:"proofEdits,omitempty"`

	// WallSeconds is the run's duration. CriticalPath is the chain of steps
	// that determined it, and CriticalSeconds the sum of their times.
	WallSeconds     float64  `json:"wallSeconds"`
	CriticalSeconds float64  `json:"criticalSeconds"`
	CriticalPath    []string `json:"criticalPath"`

	// Digest stands for all edits that a dry run found: step, path, have, want, for changes of
	// proofs: step, path and want, and for steps after others that differ the inputs and the
	// files they name. Secrets count by a slow hash over all those of a step. Equal edits have
	// equal digests in any order of the steps. It is left out when a step could not be looked
	// at. Digests holds the same for each step with edits.
	Digest  string            `json:"digest,omitempty"`
	Digests map[string]string `json:"digests,omitempty"`

	// Seen holds the digest of the edits that were seen in each step that comes
	// after one that differs, as far as it could be looked at. They are not part
	// of Digest: whether there is anything to see may depend on the moment.
	Seen map[string]string `json:"seen,omitempty"`
}
