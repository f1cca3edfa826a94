package engine

import "strings"

// An Owner is a spec that knows which edits its step could make. By that, and by
// the journals, a run can say what earlier runs made in the step and the plan
// asks for no more: ztplan deletes nothing by itself. A spec that is no Owner is
// taken to ask for everything that its step ever made.
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
	// ServerInCluster returns the Service in front of the server, as
	// "namespace/name", or "" if it is reached in another way, or not known yet.
	ServerInCluster() string

	// ServerID tells the server from others that steps of the plan may change.
	ServerID() string
}
