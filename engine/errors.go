package engine

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// ErrPermanent marks an error that trying again cannot cure.
var ErrPermanent = errors.New("permanent")

// Permanent returns err, marked with ErrPermanent; nil stays nil. The text of
// err does not change.
func Permanent(err error) error {
	if err == nil || errors.Is(err, ErrPermanent) {
		return err
	}
	return &markedError{err, []error{ErrPermanent}}
}

// A markedError is one of the errors in marks as well as its own.
type markedError struct {
	err   error
	marks []error
}

func (e *markedError) Error() string        { return e.err.Error() }
func (e *markedError) Unwrap() error        { return e.err }
func (e *markedError) Is(target error) bool { return slices.Contains(e.marks, target) }

// ErrPlan marks a permanent error whose cause is in the plan and the files that
// it names: no change to the world could cure it. A dry run fails for it even in
// a step behind others that differ, where any other error may be the difference that
// they remove.
var ErrPlan = errors.New("the plan is wrong")

// InPlan returns err, marked with ErrPlan and ErrPermanent; nil stays nil. The
// text of err does not change.
func InPlan(err error) error {
	if err == nil {
		return nil
	}
	return &markedError{err, []error{ErrPlan, ErrPermanent}}
}

// ErrNoEffect marks an error of [Edit.Apply] that is known to have changed nothing, also
// if the edit was cut off.
var ErrNoEffect = errors.New("nothing was changed")

// WithoutEffect returns err, marked with ErrNoEffect; nil stays nil. The text of err does
// not change.
func WithoutEffect(err error) error {
	if err == nil {
		return nil
	}
	return &markedError{err, []error{ErrNoEffect}}
}

// WithHint attaches the next thing to do to err; nil stays nil. The text of err
// does not change: HintOf returns the hint, for printing.
func WithHint(err error, hint string) error {
	if err == nil {
		return nil
	}
	return &hintedError{err, hint}
}

type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

// HintOf returns the outermost hint attached to err, or "". Of errors that are joined
// it returns the hint of each, every distinct one once.
func HintOf(err error) string {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if h, ok := e.(*hintedError); ok {
			return h.hint
		}
		joined, ok := e.(interface{ Unwrap() []error })
		if !ok {
			continue
		}
		var hints []string
		for _, one := range joined.Unwrap() {
			if hint := HintOf(one); hint != "" && !slices.Contains(hints, hint) {
				hints = append(hints, hint)
			}
		}
		return strings.Join(hints, "; ")
	}
	var h *hintedError
	if errors.As(err, &h) { // behind an error that only answers As
		return h.hint
	}
	return ""
}

// WithNext attaches a shell command to err that follows the hint or shows more of the
// cause. The text of err does not change; nil stays nil.
func WithNext(err error, command string) error {
	if err == nil || command == "" {
		return err
	}
	return &nextError{err, command}
}

type nextError struct {
	error
	command string
}

func (e *nextError) Unwrap() error { return e.error }

// NextOf returns the outermost command attached to err, of errors that are joined the
// first one, or "".
func NextOf(err error) string {
	var n *nextError
	if errors.As(err, &n) {
		return n.command
	}
	return ""
}

// WithUntil attaches to err until when the certificate is valid that clients are served
// at present. The text of err does not change; nil stays nil, and a zero time attaches
// nothing.
func WithUntil(err error, at time.Time) error {
	if err == nil || at.IsZero() {
		return err
	}
	return &untilError{err, at}
}

type untilError struct {
	error
	at time.Time
}

func (e *untilError) Unwrap() error { return e.error }

// UntilOf returns the outermost time attached to err by [WithUntil], or zero.
func UntilOf(err error) time.Time {
	var u *untilError
	if errors.As(err, &u) {
		return u.at
	}
	return time.Time{}
}
