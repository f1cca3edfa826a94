// Package engine is the vocabulary that plans, steps and runs share: steps,
// differences, secrets, events.
//
// It imports the standard library and nothing else. Steps know this package
// and their kits; the loop that drives them (engine/run) and the reader of
// plans (engine/plan) know this package and never a step. The composition is
// in cmd/ztplan. A test holds this package and those below it to know none of
// the systems that steps change.
//
// # Design
//
// A step has one method, [Step.Inspect]: it compares the world with the plan
// and returns one [Edit] per difference, each with the function that removes
// it. The dry run prints the edits, the run applies the same values, and the
// second Inspect proves that they are gone. Two methods that decide twice
// which fields differ would drift apart sooner or later; one value cannot.
//
// The price: an edit holds a closure, so edits cannot be saved and applied by
// another process. A digest over their content covers the need behind that.
//
// A [Proof] is a step that measures. It runs every time, and a dry run only
// lists its intent.
//
// # The target
//
// The system that a plan is about is its target, and the locks of its runs are
// there. A step may change other servers as well. [ServerUser] and
// [TargetWriter] name the locks that a run needs.
//
// # Changes of a proof
//
// Some things can only be measured while something changes: a credential that
// is renewed, a replica that is gone, a login that must be refused. A [Changer]
// declares its changes, so that a dry run lists it and the digest covers
// it, and makes each change as an [Edit] through [Env.Apply]: behind the lock of
// the run, in its journal and among its events. An attempt that must be refused
// is such an edit as well, because it may be granted. The journal has it before
// it is made; afterwards it is refused, or applied with the edit that took it
// back.
//
// These edits are counted apart and are no differences. Only a login passes
// without an edit: requests that read need it as well.
//
// # Inspect never writes
//
// The kits enforce this rule below the steps: they refuse a mutating request
// unless [WritesAllowed] holds for its context, which belongs to an edit being
// applied. A step that writes in Inspect fails on its first try, on every
// machine, and so does a proof that writes beside its edits.
//
// # Closing steps
//
// Some things may only be done when everything else has gone well, such as
// revoking the credential that the plan was bootstrapped with. A spec that is a
// [Closer] asks for a step of its own, which needs every other step of the plan.
// Reading the plan makes it, with the id of the asking step and the deciding input
// ("init.rootToken"); no step can refer to it. Otherwise it is a step like any
// other, and is skipped when anything that it needs has failed.
//
// # Orphans
//
// Nothing is deleted because a plan does not mention it any more: a plan does not
// know which things are safe to delete. Instead they are reported in every dry run,
// and once in a run: all that the journals hold beyond the edits of an [Owner].
//
// # Errors
//
// An error that trying again cannot cure wraps [ErrPermanent]. Every other error
// is tried again until the step's timeout. [WithHint] attaches the next thing to do;
// the hint travels with the error and is printed apart from it.
package engine
