package run

import (
	"slices"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// summary sums up the steps; how adds the rest.
func (r *runner) summary(how engine.Ending) engine.Summary {
	s := engine.Summary{WallSeconds: r.opts.Env.Now().Sub(r.wall).Seconds()}
	took := make([]time.Duration, len(r.results))
	for i := range r.results {
		res := &r.results[i]
		switch res.State {
		case Unchanged:
			s.Unchanged++
		case Changed:
			s.Changed++
		case Proved:
			s.Proved++
		case Awaiting:
			s.Awaiting++
			for _, what := range res.Awaited.What {
				if !slices.Contains(s.Awaits, what) {
					s.Awaits = append(s.Awaits, what)
				}
			}
		case Pending, After:
			s.Pending++
		case Skipped:
			s.Skipped++
		case Failed:
			s.Failed++
		}
		if r.nodes[i].Kind.Proof {
			s.Proofs++
			s.ProofEdits += res.Edits
		} else {
			s.Edits += res.Edits
		}
		s.Retries += res.Retries
		if !res.Started.IsZero() {
			took[i] = res.Ended.Sub(res.Started)
		}
	}
	path, total := r.graph.CriticalPath(took)
	s.CriticalSeconds = total.Seconds()
	for _, i := range path {
		if took[i] > 0 {
			s.CriticalPath = append(s.CriticalPath, r.results[i].ID)
		}
	}
	s.Result = engine.ResultOf(s, how)
	return s
}
