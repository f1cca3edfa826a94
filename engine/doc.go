// Package engine is the vocabulary that plans, steps and runs share: what a
// step is, what a difference is, what a secret is, what happens.
//
// It imports the standard library and nothing else. Steps know this package
// and their kits; the loop that drives them (engine/run) and the reader of
// plans (engine/plan) know this package and never a step. The composition is
// in cmd/ztplan.
//
// # Design
//
// A step has one method, [Step.Inspect]: it compares the world with the plan
// and returns one [Edit] per difference, each carrying the function that
// removes it. The dry run prints the edits, the run applies the same values,
// the second look proves that they are gone. Two methods that decide twice
// what differs would drift apart sooner or later; one value cannot.
//
// The price: an edit holds a closure, so edits cannot be saved and applied by
// another process. A digest over what they say covers the need behind that.
//
// A [Proof] is a step that measures. It runs every time, and a dry run only says
// what it would do.
//
// # What a proof changes
//
// Some things can only be measured while something changes: a certificate that
// is renewed, a pod that is gone, a login that must be refused. A [Changer]
// declares what it may change, so that a dry run lists it and the digest covers
// it, and makes each change as an [Edit] through [Env.Apply]: behind the lock of
// the run, in its journal and among its events as any other. An attempt that
// must be refused is such an edit, too: nobody knows before that it will be. It
// is in the journal before it is made, as refused if it was, and as applied if
// it was granted, with the edit that took it back.
//
// These edits are counted apart and are no differences: converging says that
// nothing is left to do, and a proof does the same every time.
//
// Nothing but a login passes without an edit: it is how a request is let in, for
// a look as well (see steps/internal/vaultkit).
//
// # Looking never writes
//
// The rule is enforced below the steps, not asked of them: the kits refuse a
// mutating request unless [WritesAllowed] says that the context belongs to an
// edit being applied. A step that writes while it looks fails on its first try,
// on every machine, and so does a proof that writes beside its edits.
//
// # Closing steps
//
// Some things may only be done when everything else has gone well: taking away
// the credential that the plan was bootstrapped with. No plan can say that by
// its needs without naming every other step, and would be wrong again with the
// next step that is added. So a spec can be a [Closer]: it asks for a step of
// its own, which needs every other step of the plan. Reading the plan makes it,
// with the id of the asking step and the deciding input ("init.rootToken"); no
// step can refer to it. From there on it is a step like any other: it is in the
// graph, in the dry run, in the journal and in the evidence, it looks before it
// writes, and it is skipped when anything that it needs has failed.
//
// # What is left
//
// Nothing is deleted because a plan stops to mention it: a plan cannot tell what
// is safe to delete, least of all an authority. But it must not be silent either.
// A spec can be an [Owner]: it tells which edits its step could make, and what
// the journals say that it made beyond them is said in every dry run, and once in
// a run.
//
// # Errors
//
// An error that another look cannot cure wraps [ErrPermanent]. Everything else
// is tried again until the step's timeout. [WithHint] attaches what to do
// next; it travels with the error and is printed apart from it.
package engine
