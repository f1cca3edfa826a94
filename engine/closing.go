package engine

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
