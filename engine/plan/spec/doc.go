// Package spec fills the inputs of steps from YAML: types, references, conversion.
//
// A [Decoder] walks a tree of nodes and a Go type side by side. It knows nothing of
// steps and variables: a [Scope] gives references their values, so that the type of
// the target is known where a reference stands, and the rule that a secret fills
// only inputs that take secrets is kept in one place. A value is a node (a variable),
// an output, or, while a plan is read, only the type of an output: the same code
// checks the type then and leaves the input zero.
package spec
