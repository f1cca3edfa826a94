// Package run drives a graph of steps: look, write the differences, look again.
//
// # Ownership
//
// One goroutine, the one that calls [Run], owns everything that changes: which
// steps are ready, their results, the critical path, and the order of events.
// Steps run in goroutines of their own and only send messages to the owner.
// There is no lock in this package but the one in the redactor, whose secrets
// arrive from every step, and those for calls that a step may make from several
// goroutines: warn while a blocked look holds that back, and apply the edits of a proof.
//
// A step starts the moment its last need is done; there are no levels.
//
// # A round
//
// Looking is free and bounded by the step's timeout. Writing is counted: a
// round that failed, or that left a difference it was meant to remove, uses up
// an attempt. A retry never writes from memory: it looks first.
//
// # Steps that await a person
//
// An edit with Awaits is removed by a person. When a step has nothing else left, it ends
// awaiting that: this is no failure, and the run does not wait. Steps that need it are
// skipped, unless its outputs hold meanwhile. The next run goes on.
//
// # Interruption
//
// When the context of Run ends, no step starts another edit and nothing else is
// looked at, but for changes that a proof takes back. An edit that is being applied
// gets [Options.Grace] to finish; if it does not, or fails because it was cut off, the
// run records it as unknown. The next run looks and finds out.
//
// A context that ends with a cause of its own ([context.WithCancelCause]) ends
// the run the same way; it is then no interrupt but a failure, and the cause is
// its reason.
//
// # A panic is a failed step
//
// A panic of a kind, in the goroutine of its step or in one that it started
// through [engine.Group] or [engine.Try], fails that step for good, with the stack
// in its error. The other steps go on as after any failure. An edit that panicked
// is recorded as unknown, and a blocked look that panicked warns. Neither a library's
// own goroutines nor errors that the Go runtime calls fatal can be recovered.
//
// # Around an edit
//
// Before the first edit of a run [Options.BeforeFirstWrite] is asked: this is where a lock
// is taken, so that a run that has nothing to write takes none. If another run had the lock
// meanwhile ([Fence]), steps that were looked at before are looked at again. The fence is
// asked before every edit, and inside an edit before every request that writes: a run that
// was stopped, or that cannot renew its lock, starts nothing until the lock is known to be
// its own. The [Journal] records each edit before and after it. The changes of a proof go
// the same way, see [engine.Env]; between these edits a proof cannot write.
//
// # A dry run looks at blocked steps
//
// A step is blocked by the steps that it needs and that differ, or are blocked themselves;
// a skipped step and a proof pass their blockers on. A blocked step is looked at once, with
// the outputs that are known (see [engine.Step]), and its differences are reported like any
// other, with the needs after which they may change. If an output that it uses is not
// known, if the look fails, or if its condition is false as things are, the step is known
// later, and its literal inputs are reported. Why a look failed is detail and never a
// failure: a difference before it may be the reason.
//
// # The digest of a dry run
//
// A dry run hashes its findings, so that a later run can decide whether the
// edits are still those that were reviewed: see [engine.Summary]. A blocked step is
// in it by its inputs and the files that they name. The findings of a look at it
// depend on the moment and are hashed apart.
//
// A digest is compared before a run. The findings of the dry run are kept as well
// ([Review]) and compared with the edits that each step is about to make, because the world
// may change until then.
//
// Secrets are in the digest of their step by one slow, salted hash (scrypt) over
// all of them with their places. So a review holds for the secrets, too, and two
// runs that know the same secrets compute the same, on any machine and without a
// key that would have to be shared. Who reads a digest can test guesses against
// it only for all secrets of a step at once, and pays the work of the hash for
// each guess. A step whose only secret is one that can be guessed in some million
// tries is not protected against a reader of its digest; its plan and everything
// else in the edits must be known for that, too.
//
// The changes of a proof ([engine.Changer]) are in the digest: they are no differences, but
// they are writes.
package run
