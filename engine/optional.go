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

// A Maker is a spec of a step that makes things in the target of the plan which other
// steps look for.
type Maker interface {
	// MayMake reports whether the step may make a thing, named as in [Env.MayCome]. Of a
	// step that is done, only things that others make of its things may still appear. The
	// inputs in unknown are zero. env is that of the step. It contacts nothing.
	MayMake(env *Env, unknown []string, thing string, done bool) bool
}

// Hopeless reports whether a thing that is not there is not going to appear in this run;
// see [Env.MayCome].
func (e *Env) Hopeless(thing string) bool { return e.MayCome != nil && !e.MayCome(thing) }

// A Foreseer is a spec whose inputs determine outputs of its step, such as the name that
// the plan gives a role. Where a plan refers to such an output, its readers have the
// value before any step runs: the checks of the plan, lint, the permissions. The step
// still waits for the other one.
type Foreseer interface {
	// Foresee returns the outputs, of the type Outputs of the kind, that every run of a
	// plan with this name gives. The others are empty: those that the inputs do not
	// determine, those that depend on an input in unknown, and secrets. It contacts
	// nothing and reads no file.
	Foresee(plan string, unknown []string) any
}

// Foresee returns the outputs that follow from a spec; see [Foreseer]. It is nil if the
// kind foresees none.
func (k *Kind) Foresee(spec any, plan string, unknown []string) any {
	if f, ok := spec.(Foreseer); ok {
		return f.Foresee(plan, unknown)
	}
	return nil
}

// A Closer is a spec that may ask for one more step, which runs when all other
// steps of the plan are done: see the section on closing steps of this package.
//
// It is asked once when a plan is read, with the inputs that are known then.
type Closer interface {
	// Closing returns the kind of the closing step, nil if none is asked for,
	// and the name of the input that decides it. The closing step gets the same
	// inputs, so the spec of its kind has at least the same fields.
	Closing() (input string, kind *Kind)
}
