package evidence

import (
	"fmt"
	"math"
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

// A Coverage bounds the doubt that every server behind some addresses shows
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
	// Doubt is the chance that one of the servers was not met; it follows from servers, row
	// and others.
	Doubt float64 `json:"doubt"`
}

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
