package engine

// A Connection is a key below connections of a plan: how the steps of the plan
// reach a system that they share. There are two sorts.
//
// With New, it is a value that is known before any step runs. Without New, it is
// the default of the inputs that have its name: each step whose kind has such an
// input, a mapping with keys of its own, gets from the connection the keys that it
// leaves out. The types of the keys are those of the inputs.
type Connection struct {
	Key string

	// Doc describes the connection in the reference.
	Doc string

	// New returns a pointer to a struct, which is filled from the plan.
	New func() any
	// NoOutputs is the reason why outputs of steps cannot be used in the value: a sentence
	// without a capital and a full stop.
	NoOutputs string

	// Exclusive are groups of keys of which one is enough: a step that gives one of a
	// group does not get the others. A key inside of another has its path, with dots.
	Exclusive [][]string

	// Deciding are paths of keys on which the meaning of the mapping around them depends,
	// with the values that they have when they are left out: a step that gives another
	// value gets nothing of that mapping.
	Deciding map[string]string
}
