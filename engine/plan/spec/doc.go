// Package spec fills the inputs of steps from YAML: types, references, conversion.
//
// A [Decoder] walks a tree of nodes and a Go type side by side. It knows nothing of
// steps and variables: a [Scope] gives references their values, so that the type of
// the target is known where a reference stands, and the rule that a secret fills
// only inputs that take secrets is kept in one place. A value is a node (a variable),
// an output, or, while a plan is read, only the type of an output: the same code
// checks the type then and leaves the input zero.
//
// # Why references and conditions are not HCL expressions
//
// github.com/hashicorp/hcl/v2 with go-cty was measured with 42 expressions. Whole
// values, unknown values, marks for secrets and && with an unknown side fit. The rest
// does not. In a text, %{ becomes a directive and ~} removes space, which changes the
// values that plans hold today. Text in single quotes is an error. "text" == 3 is
// false, where a plan gets a problem with its place. 1e21 is written with 22 digits.
// Functions, arithmetic, < and [*] have to be found and refused.
//
// It would replace the parsers of references and of conditions and the evaluation,
// about 350 lines. Checks of its tree, the translation of its messages to those of a
// plan and the conversion of nodes and outputs to values and back are estimated at
// 450. Conversion between Go types, places inside YAML scalars and suggestions stay. A program
// grows by up to 2.8 MB.
package spec
