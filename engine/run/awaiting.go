package run

// awaits reports whether a step cannot be used in this run because it is awaiting a
// person, or was itself not run for that reason.
func (res *StepResult) awaits() bool {
	return res.waits || res.State == Awaiting && !res.Awaited.Serves
}

// waitsFor returns why a step is not run whose needs await something.
func (r *runner) waitsFor(needs []string) string {
	for _, id := range needs {
		if a := r.results[r.index[id]].Awaited; a != nil {
			return "waits for " + join(needs) + ", which is awaiting " + join(a.What)
		}
	}
	return "waits for " + join(needs) + ", which waits as well"
}
