package engine

import "context"

// A Level grades the outcome of a check.
type Level string

// The levels, from good to bad.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warn" // the run may go well, or the check could not be made
	LevelFail Level = "fail" // the run is going to fail
)

// A Verdict is the outcome of a check. The zero value means that there was nothing to
// check.
type Verdict struct {
	Level  Level
	Detail string // the finding, or why the check was not made
	Next   string // advice, such as a command
}

// A Check tests, before a run, a precondition of a step. It writes nothing.
type Check struct {
	Name   string // its subject; of several checks with one name one is made, unless they are Own
	Own    bool   // it is about the step alone
	Target bool   // it asks the target of the plan
	Run    func(ctx context.Context, env *Env) Verdict
}

// A Checker is a spec that knows the preconditions of its step.
type Checker interface {
	// Checks returns the checks that can be made without the inputs in unknown. It
	// contacts nothing.
	Checks(unknown []string) []Check
}

// Failed returns the verdict on an error.
func Failed(err error) Verdict {
	return Verdict{Level: LevelFail, Detail: err.Error(), Next: HintOf(err)}
}

// NotChecked returns the verdict of a check that could not be made.
func NotChecked(err error) Verdict {
	return Verdict{Level: LevelWarn, Detail: "not checked: " + err.Error(), Next: HintOf(err)}
}
