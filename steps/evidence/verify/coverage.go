package verify

import (
	"math"
	"slices"

	"github.com/ztplan/ztplan/steps/evidence"
)

// coverages verifies that row, interruptions and doubt follow from the samples.
func (r *rotation) coverages() {
	covered := make(map[string]bool)
	worst := 0.0
	for _, g := range r.Coverage {
		at := *r
		at.at += " at " + g.Name
		row, others := count(g, slices.Concat(r.Endpoints, r.Looks))
		if g.Row > row {
			at.add("%d new handshakes in a row are on record, not %d", row, g.Row)
		}
		if g.Others < others {
			at.add("%d handshakes showed another certificate after the new one, recorded %d", others, g.Others)
		}
		if g.Handshakes < g.Row+g.Others {
			at.add("%d handshakes cannot hold %d and %d", g.Handshakes, g.Row, g.Others)
		}
		if doubt := evidence.Doubt(g.Servers, g.Row, g.Others); !near(g.Doubt, doubt, 1e-9) {
			at.add("the doubt is %.6f, recorded %.6f", doubt, g.Doubt)
		}
		worst = max(worst, g.Doubt)
		for _, address := range g.Endpoints {
			covered[address] = true
		}
	}
	ruled := false
	for _, rule := range r.Rules {
		if rule.Name != "maxDoubt" {
			continue
		}
		ruled = true
		if saw, _ := evidence.Size(rule.Saw); !near(saw, worst, 1e-9) {
			r.add("the doubt is %.6f, the rule saw %v", worst, rule.Saw)
		}
	}
	if !ruled {
		if len(r.Coverage) > 0 {
			r.add("there is no rule for the doubt")
		}
		return // from before there was such a rule: consecutiveNew alone
	}
	for _, e := range r.Endpoints {
		if r.proved && !covered[e.Address] {
			r.add("at %s: the step is proved without a doubt on record", e.Address)
		}
	}
}

// count computes from samples the longest row that they can hold, and how many
// handshakes must have interrupted it. Runs count with their first handshake.
func count(g evidence.Coverage, endpoints []evidence.Endpoint) (row, others int) {
	var samples []evidence.Sample
	for _, e := range endpoints {
		if slices.Contains(g.Endpoints, e.Address) {
			samples = append(samples, e.Samples...)
		}
	}
	first, since := math.Inf(1), math.Inf(-1)
	for _, s := range samples {
		if s.Cert == 1 {
			first = min(first, s.At+s.Seconds)
		}
	}
	for _, s := range samples {
		if shown := s.At + s.Seconds; s.Cert >= 0 && s.Cert != 1 {
			since = max(since, shown)
			if shown > first+coverSlack {
				others += max(s.Count, 1)
			}
		}
	}
	for _, s := range samples {
		if s.Cert == 1 && s.At > since-coverSlack {
			row += max(s.Count, 1)
		}
	}
	return row, others
}

// coverSlack is the rounding of recorded seconds.
const coverSlack = 1e-6
