package run

import (
	"cmp"
	"context"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/redact"
)

// A Node is a step made ready to run.
type Node struct {
	ID       string
	Kind     *engine.Kind
	Policy   engine.Policy
	Position string // file:line:col of the step

	// Needs are the ids of all steps that must be done first. Refs is the part
	// of them whose outputs this step uses: if one of those is skipped, so is
	// this step, while a skipped need that only gives the order is no obstacle.
	Needs []string
	Refs  []string

	// Known reports whether all that this step uses of the outputs of the step
	// id is in them. A dry run asks it about a step that differs, whose outputs
	// are known in part. If it is nil, nothing is known.
	Known func(id string, outputs any) bool

	// Skip, if not empty, is why the step is not run at all.
	Skip string

	// When decides at run time whether the step runs; nil means always.
	When func(Outputs) (bool, error)

	// Spec decodes the inputs with the outputs of other steps filled in.
	Spec func(Outputs) (any, error)

	// Preview returns the spec with its literal inputs only, for a proof's intent. Literal
	// returns the same as plain data, with secrets as engine.Secret and a remark where a value
	// is not known yet. Both serve the dry run and may be nil.
	Preview func() any
	Literal func() any

	// MayMake is [engine.Maker] for the step; nil if it makes nothing that others look
	// for.
	MayMake func(env *engine.Env, thing string, done bool) bool
}

// event returns an event of the step.
func (n *Node) event(action engine.Action) engine.Event {
	return engine.Event{Action: action, Step: n.ID, Kind: n.Kind.Name}
}

// failure returns the error of the step; path is that of the edit that failed.
func (n *Node) failure(path string, err error, r *redact.Redactor) *StepError {
	return &StepError{ID: n.ID, Kind: n.Kind.Name, Position: n.Position, Path: path, Err: err, text: r.Text(err.Error())}
}

func (n *Node) knows(id string, outputs any) bool {
	return outputs != nil && n.Known != nil && n.Known(id, outputs)
}

func (n *Node) literal() any {
	if n.Literal == nil {
		return nil
	}
	return n.Literal()
}

// Outputs gives the outputs of a step that is done.
type Outputs func(id string) (outputs any, ok bool)

// A Mode is the way a run treats the edits that it finds.
type Mode int

// The modes.
const (
	Apply  Mode = iota // apply the edits, then prove
	DryRun             // print the edits and the intents of the proofs
)

// Options are the settings of a run.
type Options struct {
	Mode     Mode
	Parallel int // steps at once; less than 1 means 10

	// Env is passed to each step, completed by its id and its log functions.
	Env engine.Env

	// Secrets are known before any step runs: those of the plan itself.
	Secrets []engine.Secret

	// Remarks are warnings about the plan as a whole, reported before any step.
	Remarks []string

	// Hint, if it is not nil, returns the hint for an error message, "" if the
	// message is not known. It is asked when an error has no hint of its own.
	Hint func(message string) string

	// Next, if it is not nil, returns the command that is to follow the failure of a step
	// with an error message. It is asked when an error has none of its own.
	Next func(step, message string) string

	// Sink receives every event, redacted, in order, from one goroutine.
	Sink func(engine.Event)

	// Grace is how long an edit that is being applied may go on after the
	// context has ended; 0 means 30 s.
	Grace time.Duration

	// Kill, if it is not nil, ends the grace: a second interrupt.
	Kill context.Context

	// BeforeFirstWrite, if it is not nil, is called before the first edit is
	// applied, by one step while others that want to write wait. Its error is
	// the step's: a permanent one fails every step that wants to write, after
	// another it is called again. It calls report with the reason of its wait. A run that
	// has nothing to write, and a dry run, never call it.
	BeforeFirstWrite func(ctx context.Context, report func(string)) error

	// Fence, if it is not nil, is asked about every edit once BeforeFirstWrite has
	// returned nil.
	Fence Fence

	// Review, if it is not nil, holds the findings of the reviewed dry run. A
	// step that is about to make its first edit fails if that is none of these.
	Review *Review

	// Journal, if it is not nil, records every edit, those of proofs as well.
	// Effects of an edit in other systems are not in it.
	Journal Journal
}

func (o *Options) knownHint(message string) string {
	if o.Hint == nil {
		return ""
	}
	return o.Hint(message)
}

// hint returns the hint of err; without one, that of its message; without that,
// the general one.
func (o *Options) hint(err error, general string) string {
	return cmp.Or(engine.HintOf(err), o.knownHint(err.Error()), general)
}

// A Fence keeps a run from writing when others may write: its lock was not renewed
// in time, because it was stopped or could not reach the lock. It must be safe for
// concurrent use.
type Fence interface {
	// Moved reports whether others may have written between the start of this
	// run and the moment when it got its lock. Steps that were looked at before that are
	// looked at again.
	Moved() bool

	// Wait returns nil as soon as an edit may start. It calls report with the reason
	// of its wait, and returns that as an error when ctx ends.
	Wait(ctx context.Context, report func(string)) error

	// Enclose returns a context for an edit: it ends, with the reason as its
	// cause, when the edit must not go on, and [engine.WriteCheck] fails from then
	// on. The function frees its resources.
	Enclose(ctx context.Context) (context.Context, context.CancelFunc)
}

// A State is the outcome of a step.
type State string

// The states.
const (
	Unchanged State = "unchanged"
	Changed   State = "changed"
	Proved    State = "proved"
	Awaiting  State = "awaiting" // only things that a person has to give are left
	Pending   State = "pending"  // dry run: it differs
	After     State = "after"    // dry run: known after another step
	Would     State = "would"    // dry run: a proof
	Skipped   State = "skipped"
	Failed    State = "failed"
)

// A StepResult is the end of one step.
type StepResult struct {
	ID      string
	State   State
	Started time.Time // zero if it never started
	Ended   time.Time
	Edits   int // applied, or in a dry run found; of a proof those that it declares
	Retries int
	Outputs any
	Err     error
	Awaited *engine.Awaited // by a step that ended awaiting it, else nil

	waits bool // it was skipped because a need is awaiting something
}

// A Result is the end of the run.
type Result struct {
	Steps       []StepResult // in plan order
	Summary     engine.Summary
	Interrupted bool // the context was cancelled without a cause of its own

	// Redactor knows every secret of the run, for later messages about it.
	Redactor *redact.Redactor

	// Review holds the findings of a dry run, for the run that is to make these edits.
	Review *Review
}

// A StepError is a step's failure.
type StepError struct {
	ID       string
	Kind     string
	Position string
	Path     string // of the edit that could not be applied; optional
	Err      error

	text string // Err's text, redacted
}

// Error returns "plan.yaml:14:7: step ann (account): users/ann: …" with the secrets
// of the run replaced; Unwrap returns the cause as it was.
func (e *StepError) Error() string {
	s := "step " + e.ID + " (" + e.Kind + "): "
	if e.Position != "" {
		s = e.Position + ": " + s
	}
	if e.Path != "" {
		s += e.Path + ": "
	}
	return s + e.text
}

// Unwrap returns the cause.
func (e *StepError) Unwrap() error { return e.Err }
