package engine

// A Foreseer is a spec whose inputs determine outputs of its step, such as the name that
// the plan gives a role. Where a plan refers to such an output, its readers have the
// value before any step runs: the checks of the plan, lint, the permissions. The step
// still waits for the other one.
type Foreseer interface {
	// Foresee returns the outputs, of the type Outputs of the kind, that every run of a
	// plan with this name gives. The others are empty: those of which the inputs say
	// nothing, those that depend on an input in unknown, and secrets. It contacts
	// nothing and reads no file.
	Foresee(plan string, unknown []string) any
}

// Foresee returns the outputs that follow from a spec; see [Foreseer]. It is nil if the
// kind foresees none.
func (k *Kind) Foresee(spec any, plan string, unknown []string) any {
	if f, ok := spec.(Foreseer); ok {
		return f.Foresee(plan, unknown)
	}
	return nil
}
