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

// A Claim is one thing that a step brings to a state of its own, whole or in one
// field.
type Claim struct {
	Server string // that has it; "" is the plan's cluster
	Path   string // of the thing, slash-separated: "auth/kubernetes/role/app"
	Want   any    // the state, compared by reflect.DeepEqual; it may hold secrets and is never shown
	Field  string // the input that says so: "roles[0]"
}

// A Claimer is a spec that knows what its step writes. Two steps that claim one
// thing in different states would undo each other in every run, so a plan that
// has them is invalid; two that claim the same state are not.
type Claimer interface {
	// Claims returns what the step claims, of a plan with a name. What depends on
	// the inputs in unknown is left out; see [Known]. Claims contacts nothing but
	// files beside the plan.
	Claims(plan string, unknown []string) []Claim
}

// Known reports whether an input is known as a whole, given the paths of those
// that are not.
func Known(field string, unknown []string) bool {
	for _, u := range unknown {
		if inside(u, field) || inside(field, u) {
			return false
		}
	}
	return true
}

// inside reports whether the path of an input is top or lies inside it.
func inside(path, top string) bool {
	rest, ok := strings.CutPrefix(path, top)
	return ok && (rest == "" || top == "" || rest[0] == '.' || rest[0] == '[')
}
