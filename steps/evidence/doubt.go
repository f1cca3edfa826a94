package evidence

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Doubt bounds the chance that a proof ended although one of the servers behind
// an address never took the new certificate. Each new connection reaches each of
// the servers with the same probability, or that one more often. row is how many
// handshakes in a row showed the new certificate at the end, and others how many
// showed another one after the new one was first seen.
//
// A stale server is missed by one row with (1 − 1/servers)^row. A proof that goes
// on after each interruption has several chances to be wrong: the one after n
// interruptions may use 1/((n+1)(n+2)) of the bound, and these shares add up to
// one, so that the bound holds for the proof as a whole, however long it goes on
// and whatever made it stop.
func Doubt(servers, row, others int) float64 {
	if row <= 0 || servers <= 0 {
		return 1
	}
	missed := math.Pow(1-1/float64(servers), float64(row))
	return min(1, shares(others)*missed)
}

// LeastRow returns the least row whose Doubt is at most limit, which lies between
// 0 and 1.
func LeastRow(servers, others int, limit float64) int {
	if servers <= 1 {
		return 1
	}
	row := int(math.Ceil(math.Log(limit/shares(others)) / math.Log(1-1/float64(servers))))
	for row = max(row, 1); Doubt(servers, row, others) > limit; row++ {
	}
	return row
}

func shares(others int) float64 { return float64(others+1) * float64(others+2) }

// A Coverage says how sure it is that every server behind some addresses shows
// the new certificate. The handshakes of these addresses count together, because
// they lead to the same servers.
type Coverage struct {
	Name      string   `json:"name"`      // of the servers: an address, a pod, a Service
	Endpoints []string `json:"endpoints"` // addresses of endpoints or looks
	Servers   int      `json:"servers"`   // that share the connections: workers × replicas
	// Row is how many handshakes that were begun after the newest one with
	// another certificate showed the new one; k.
	Row int `json:"row"`
	// Others is how many handshakes showed another certificate after the new one
	// was first seen, and Handshakes how many there were since then; n.
	Others     int `json:"others"`
	Handshakes int `json:"handshakes"`
	// Doubt is Doubt(Servers, Row, Others).
	Doubt float64 `json:"doubt"`
}

// coverages: row, interruptions and doubt follow from the samples.
func (v *verifier) coverages(c *Check, at string, r *RotationRecord, proved bool) {
	covered := make(map[string]bool)
	worst := 0.0
	for _, g := range r.Coverage {
		at := at + " at " + g.Name
		row, others := g.count(slices.Concat(r.Endpoints, r.Looks))
		if g.Row > row {
			c.add("%s: %d new handshakes in a row are on record, not %d", at, row, g.Row)
		}
		if g.Others < others {
			c.add("%s: %d handshakes showed another certificate after the new one, recorded %d", at, others, g.Others)
		}
		if g.Handshakes < g.Row+g.Others {
			c.add("%s: %d handshakes cannot hold %d and %d", at, g.Handshakes, g.Row, g.Others)
		}
		if doubt := Doubt(g.Servers, g.Row, g.Others); !near(g.Doubt, doubt, 1e-9) {
			c.add("%s: the doubt is %.6f, recorded %.6f", at, doubt, g.Doubt)
		}
		worst = max(worst, g.Doubt)
		for _, address := range g.Endpoints {
			covered[address] = true
		}
	}
	said := false
	for _, rule := range r.Rules {
		if rule.Name != "maxDoubt" {
			continue
		}
		said = true
		if saw, _ := size(rule.Saw); !near(saw, worst, 1e-9) {
			c.add("%s: the doubt is %.6f, the rule saw %v", at, worst, rule.Saw)
		}
	}
	if !said {
		if len(r.Coverage) > 0 {
			c.add("%s: there is no rule for the doubt", at)
		}
		return // from before there was such a rule: consecutiveNew alone
	}
	for _, e := range r.Endpoints {
		if proved && !covered[e.Address] {
			c.add("%s at %s: the step is proved without a doubt on record", at, e.Address)
		}
	}
}

// count computes from samples the longest row that they can hold, and how many
// handshakes must have interrupted it. Runs count with their first handshake.
func (g Coverage) count(endpoints []Endpoint) (row, others int) {
	var samples []Sample
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

// The values of Rotation.WorkersFrom.
const (
	WorkersFromPlan    = "plan"
	WorkersFromNodes   = "nodes" // one worker for each processor
	WorkersFromDefault = "default"
)

// Percent renders a probability: "99.95 %", "0.05 %".
func Percent(p float64) string {
	text := fmt.Sprintf("%.2f", 100*p)
	switch {
	case p > 0 && p < 1e-8:
		return "less than 0.000001 %"
	case p > 0 && p < 0.0001:
		text = fmt.Sprintf("%.8f", 100*p)
	}
	if p < 1 && strings.HasPrefix(text, "100") {
		text = "more than 99.99"
	}
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + " %"
}
