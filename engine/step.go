package engine

import (
	"context"
	"slices"
)

// A Step brings one part of the world to the state that a plan asks for.
// O is the struct of facts that later steps may refer to.
//
// A Step is a decoded spec: a pointer to a struct whose fields are the inputs.
type Step[O any] interface {
	// Inspect compares the world with the step and must not change anything.
	//
	// It returns the facts that it learned and one Edit per difference, in the
	// order in which they are to be removed. No edits means that the step has
	// converged. An error means that Inspect could not tell: it will be asked
	// again unless the error wraps ErrPermanent.
	//
	// Outputs come from what is there, so a run that finds everything done has
	// the same outputs as the run that did it. Those that come with edits are
	// facts that hold now and that the edits will not change: a name that the
	// plan gives, a certificate when only an address beside it differs. What the
	// edits would make or change is left empty, as a whole: a list or a map is
	// complete or empty. A dry run looks at the steps after this one with what
	// is not empty, and says that the rest is known later.
	Inspect(ctx context.Context, env *Env) (out O, edits []Edit, err error)
}

// An Edit is one difference between the plan and the world, together with the
// function that removes it.
type Edit struct {
	// Path says where, slash-separated and the same from run to run:
	// "pki/roles/web/max_ttl", "Deployment/default/hello-app/spec/replicas".
	Path string

	// Have is what is there, nil if nothing; Want is what the plan asks for,
	// nil if nothing. Plain data (strings, numbers, bools, slices, maps) or
	// Secret; they are shown, compared and recorded, never interpreted.
	Have any
	Want any

	// Note is an optional remark for the reader, one line.
	Note string

	// Parts are, of an edit that writes several things at once, each of them: the
	// Path, Have and Want that an edit of its own would have. They say nothing that
	// Have and Want do not, and are compared with the edits of other steps only.
	Parts []Edit

	// Apply makes the change. If Apply is nil, the step can only wait for
	// somebody else to make it: this is how readiness is said.
	Apply func(context.Context) error

	// Await, used only when Apply is nil, returns when another look is
	// worthwhile: a watch that saw a change. Its error is not a verdict, only
	// a reason to look again. Without it the run looks again after a short,
	// growing delay.
	Await func(context.Context) error
}

// A Proof measures something that must hold. It runs every time; a dry run
// prints its intent and does not count it. Its context never allows writes: a
// proof that has to change something is a [Changer] as well, and changes it
// through [Env.Apply].
type Proof[O any] interface {
	// Intent says, a line each, what Prove would do. It contacts nothing.
	Intent() []string

	// Prove measures. It returns the facts and a Finding for every rule,
	// whether it held or not. An error means that the measurement could not be
	// made. With a violated rule and attempts left in the step's retry policy,
	// the proof is asked again.
	Prove(ctx context.Context, env *Env) (out O, findings []Finding, err error)
}

// A Changer is a Proof that changes something in order to measure. It declares
// what: a dry run lists that, the digest of a dry run covers it, and [Env.Apply]
// refuses everything else.
type Changer interface {
	// Changes returns one Edit for each thing that Prove may change, in the order
	// in which it does: Path, Want and Note, without Apply. A path covers what is
	// [Below] it. Where a name is known only at run time, the path ends above it,
	// and what it stands for is in parentheses: "Pod/vault/(component=server)".
	// Want says what becomes of it, for the reader and the digest.
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
	Rule   string // what was asserted, in words: "status is 200"
	Holds  bool
	Have   any    // what was seen
	Want   any    // what the rule asks for
	Detail string // what was tried, how often, and why it fails; optional
}

// A Validator is a spec that checks itself beyond what its types and tags say.
// It is asked once when a plan is read, before anything is contacted, and must
// contact nothing but files beside the plan.
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

// WritesWhile returns a context in which what ctx may write, it may write only as
// long as check returns nil: see [WriteCheck].
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
