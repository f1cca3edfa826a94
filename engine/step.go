package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A Step brings one part of the world to the state that a plan asks for.
// O is the struct of outputs, which later steps may refer to.
//
// A Step is a decoded spec: a pointer to a struct whose fields are the inputs.
type Step[O any] interface {
	// Inspect compares the world with the step and must not change anything.
	//
	// It returns the outputs and one Edit per difference, in the order in which
	// the differences are to be removed. A step without edits has converged. After
	// an error Inspect is called again, unless the error wraps ErrPermanent.
	//
	// Outputs come from the present state, so a run that finds everything done has
	// the same outputs as the run that did it. Outputs that come with edits hold
	// now, and the edits will not change them: a name that the plan gives. An
	// output that the edits would make or change is empty, as a whole: a list or a
	// map is complete or empty. A dry run inspects the steps after this one with
	// the outputs that are not empty, and reports the others as known later.
	Inspect(ctx context.Context, env *Env) (out O, edits []Edit, err error)
}

// An Edit is one difference between the plan and the world, together with the
// function that removes it.
type Edit struct {
	// Path is the place of the difference, slash-separated and the same from run
	// to run: "roles/web/max_ttl".
	Path string

	// Have is the present value, Want the value that the plan asks for; nil is
	// none. Both are plain data (strings, numbers, bools, slices, maps) or Secret;
	// they are shown, compared and recorded, never interpreted.
	Have any
	Want any

	// Note is an optional remark for the reader, one line.
	Note string

	// Hint is the next thing to do in case that the step ends while it waits or awaits this;
	// optional, and used only when Apply is nil.
	Hint string

	// Awaits, used only when Apply is nil, names the thing that a person has to give before
	// the difference can go away, at a time of their own: "signature". A run does not wait
	// for that: when nothing else is left to write or to wait for, the step ends awaiting
	// it. Hint is the instruction.
	Awaits string

	// Meanwhile, used only with Awaits, means that the present state serves until then: the
	// outputs hold, and the steps that need this one go on.
	Meanwhile bool

	// Parts are the things that the edit writes if it writes several at once, each
	// with the Path, Have and Want of an edit of its own. They repeat Have and Want
	// and serve the comparison with edits of other steps only.
	Parts []Edit

	// Apply makes the change. If Apply is nil, the step can only wait until the
	// difference goes away: this is how a step waits for readiness.
	Apply func(context.Context) error

	// Confirmed means that Apply returns nil only after it has seen the effect. If the edit is
	// wanted again in the same run, something has undone it since, as a restart does, and it
	// is made again. Others, of which the server may make something else, are made once.
	Confirmed bool

	// Await, used only when Apply is nil, returns when Inspect should be called
	// again: a watch saw a change. Its error is a reason to inspect again as well.
	// Without Await the run inspects after a short, growing delay.
	Await func(context.Context) error
}

// A Proof measures something that must hold. It runs every time; a dry run
// prints its intent and does not count it. Its context never allows writes: a
// proof that has to change something is a [Changer] as well, and changes it
// through [Env.Apply].
type Proof[O any] interface {
	// Intent returns the actions of Prove, a line each. It contacts nothing.
	Intent() []string

	// Prove measures. It returns the outputs and a Finding for every rule,
	// whether it held or not. An error means that the measurement could not be
	// made. After a violated rule Prove is called again, as long as the step's
	// retry policy has attempts left.
	Prove(ctx context.Context, env *Env) (out O, findings []Finding, err error)
}

// A Changer is a Proof that changes something in order to measure. It declares
// its changes: a dry run lists them, the digest of a dry run covers them, and
// [Env.Apply] refuses every other.
type Changer interface {
	// Changes returns one Edit for each thing that Prove may change, in the order
	// in which it does: Path, Want and Note, without Apply. A path covers all paths
	// [Below] it. Where a name is known only at run time, the path ends above it,
	// with a description in parentheses: "replicas/(one of the leaders)". Want is
	// the outcome, for the reader and the digest.
	//
	// It follows from the inputs alone and contacts nothing. Inputs that other
	// steps have yet to give are zero.
	Changes() []Edit
}

// Declared reports whether the edit at path is one of changes, or inside one.
func Declared(changes []Edit, path string) bool {
	return slices.ContainsFunc(changes, func(c Edit) bool { return Below(path, c.Path) })
}

// A Finding is the verdict on one rule of a proof.
type Finding struct {
	Rule   string // the assertion in words: "status is 200"
	Holds  bool
	Have   any    // the measured value
	Want   any    // the value that the rule asks for
	Cause  string // why it does not hold, in short, for the error of the step; optional
	Detail string // attempts and the cause of a failure in full; optional
}

// Violated returns an error that lists the rules that do not hold, with the reasons; nil
// if all hold. A proof that knows more than the findings returns it with hints of its own;
// for others the run makes it.
func Violated(findings []Finding) error {
	var rules []string
	for _, f := range findings {
		switch reason := f.Reason(); {
		case f.Holds:
		case reason == "":
			rules = append(rules, f.Rule)
		default:
			rules = append(rules, f.Rule+": "+reason)
		}
	}
	if len(rules) == 0 {
		return nil
	}
	return fmt.Errorf("does not hold: %s", strings.Join(rules, "; "))
}

// Reason returns why the rule does not hold: the cause or, without one, the measured value
// and the detail.
func (f Finding) Reason() string {
	switch {
	case f.Cause != "":
		return f.Cause
	case f.Have == nil:
		return f.Detail
	case f.Detail == "":
		return fmt.Sprintf("saw %v", f.Have)
	}
	return fmt.Sprintf("saw %v (%s)", f.Have, f.Detail)
}

// A Validator is a spec that checks itself beyond its types and tags. Validate is
// called once when a plan is read, before any step runs; it reads files beside the
// plan and contacts nothing else.
type Validator interface {
	Validate(p *Problems)
}

type (
	writesKey struct{}
	whileKey  struct{}
)

// AllowWrites marks ctx as belonging to an edit being applied. Only the run loop
// and tests call it.
func AllowWrites(ctx context.Context) context.Context {
	return context.WithValue(ctx, writesKey{}, true)
}

// WritesAllowed reports whether ctx may change the world. The kits ask it
// before every mutating request.
func WritesAllowed(ctx context.Context) bool {
	ok, _ := ctx.Value(writesKey{}).(bool)
	return ok
}

// WritesWhile returns a context that may write like ctx, but only as long as check
// returns nil: see [WriteCheck].
func WritesWhile(ctx context.Context, check func() error) context.Context {
	before := ctx
	return context.WithValue(ctx, whileKey{}, func() error {
		if err := WriteCheck(before); err != nil {
			return err
		}
		return check()
	})
}

// WriteCheck returns why nothing may be written right now in a context that
// allows writes: its run may have lost its lock since the edit began. The kits
// ask it before every mutating request and send nothing when there is an error.
func WriteCheck(ctx context.Context) error {
	if check, ok := ctx.Value(whileKey{}).(func() error); ok {
		return check()
	}
	return nil
}

// WritesLike returns a context like ctx in which writes are allowed as they are
// in edit. It serves libraries that make contexts of their own.
func WritesLike(ctx, edit context.Context) context.Context {
	if WritesAllowed(edit) {
		ctx = AllowWrites(ctx)
	}
	return WritesWhile(ctx, func() error { return WriteCheck(edit) })
}
