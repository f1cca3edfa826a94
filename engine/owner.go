package engine

import "strings"

// An Owner is a spec that knows which edits its step could make. With the journals
// a run reports the things that earlier runs made in the step and that the plan
// does not ask for any more; ztplan deletes nothing by itself. A spec that is no
// Owner is taken to ask for everything that its step ever made.
type Owner interface {
	// Owns returns a function that reports whether the edit at a path is about
	// something that the step asks for. It must be true for every edit of
	// Inspect; for a path that the kind does not know, too. It is nil if that
	// depends on the inputs in unknown: those are zero, because they hold outputs
	// of steps that have not run. Owns contacts nothing but files beside the plan.
	Owns(unknown []string) func(path string) bool
}

// Below reports whether a slash-separated path, such as [Edit.Path], is top or
// lies inside it.
func Below(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || rest[0] == '/')
}

// A ServerUser is a spec whose step changes a server that other plans may change
// as well. A run locks it, so that two plans do not make the same thing at once.
type ServerUser interface {
	// ServerInTarget returns the name of the server in the target of the plan, or
	// "" if it is reached in another way, or not known yet.
	ServerInTarget() string

	// ServerID identifies the server among others that steps of the plan may change.
	ServerID() string
}

// A TargetWriter is a spec of a step that may leave the target of the plan alone:
// it writes to files, or to a server that it reaches by an address. A run whose
// steps all do needs no lock in the target. Other specs are taken to write to the
// target.
type TargetWriter interface {
	// WritesToTarget reports whether the step may write to the target, or through
	// it to a server. The inputs in unknown are zero, because they hold outputs of
	// steps that have not run. It contacts nothing.
	WritesToTarget(unknown []string) bool
}
