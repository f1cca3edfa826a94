// Package plan reads plans: YAML in, a [Plan] of typed steps out, or every
// problem at once, each with its place.
//
// Nothing is contacted. [Load] checks all that the plan, its variables and the files
// beside it determine: keys, types, ranges, references, the graph, and the checks of
// each kind. Inputs that need the outputs of another step are checked by the same code
// with real values, in [Step.Spec].
//
// The language is described in plans/README.md, which "ztplan explain plan" prints as well.
// The keys and their meanings are the fields of [document.Plan].
//
// # Design
//
// Three layers, each of which imports those below it: package source reads the text,
// package spec fills the inputs of a step, and this package knows the plan: its keys,
// variables, connections, steps and their graph. Package syntax parses
// references and conditions, package keypath names parts of values,
// package vars reads variables, package foreach the items of a step with forEach.
//
// A document with steps is a unit: the plan, and a fragment once for each entry that
// includes it. A unit has its own variables, entries and directory. The nodes of a fragment
// are read once, and all of its uses have them.
//
// A step with forEach is one entry of the plan and has a [Step] for each item. All of them
// have the node of the entry; a reference to the item gets its value where it is resolved.
// So instances have the places of what is written, and nothing is written anew.
//
// The tree that the YAML parser makes stays: inputs are decoded from it when the plan
// is read, and again with the outputs of steps right before a step starts. So every
// problem has its place, also one that shows hours later in a run.
package plan
