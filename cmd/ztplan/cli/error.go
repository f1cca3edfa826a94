package cli

import (
	"errors"

	"github.com/ztplan/ztplan/engine"
)

// The exit codes, a contract with scripts.
const (
	OK          = 0
	Failed      = 1   // a step failed, or the command could not be carried out
	Differs     = 2   // dry run or status: there are differences
	Invalid     = 3   // the plan or the command line is invalid: nothing was contacted
	Interrupted = 130 // interrupted, or the output cannot be written: the next run goes on
)

// An Error ends the program with a code. Its text is printed unless it is
// empty: then everything was printed already.
type Error struct {
	Code int
	Text string
	Hint string
}

func (e *Error) Error() string { return e.Text }

// CodeOf returns the exit code of the program that ends with an error.
func CodeOf(err error) int {
	var exit *Error
	switch {
	case err == nil:
		return OK
	case errors.As(err, &exit):
		return exit.Code
	}
	return Failed
}

// HintOf returns the hint of an error that ends the program.
func HintOf(err error) string {
	var exit *Error
	if errors.As(err, &exit) && exit.Hint != "" {
		return exit.Hint
	}
	return engine.HintOf(err)
}
