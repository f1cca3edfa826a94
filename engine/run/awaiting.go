package run

// awaits reports whether a step cannot be used in this run because it is awaiting what a
// person has to give, or was not run for that reason itself.
func (res *StepResult) awaits() bool {
	return res.waits || res.State == Awaiting && !res.Awaited.Serves
}

// waitsFor says why a step is not run whose needs await something.
func (r *runner) waitsFor(needs []string) string {
	for _, id := range needs {
		if a := r.results[r.index[id]].Awaited; a != nil {
			return "waits for " + join(needs) + ", which is awaiting " + join(a.What)
		}
	}
	return "waits for " + join(needs) + ", which waits as well"
}
