package report

import (
	"fmt"

	"github.com/ztplan/ztplan/steps/evidence"
)

// doubts states, in a line for each group of servers, how likely one that was left
// behind would have been seen.
func doubts(r evidence.RotationRecord) []string {
	var lines []string
	for _, g := range r.Coverage {
		line := fmt.Sprintf("%s: %d new handshakes in a row; a stale server among %d would have been seen with %s", g.Name, g.Row, g.Servers, evidence.Percent(1-g.Doubt))
		if g.Others > 0 {
			line += fmt.Sprintf(", though %d handshakes showed another certificate in between", g.Others)
		}
		lines = append(lines, line)
	}
	if len(lines) > 0 {
		lines = append(lines, fmt.Sprintf("%d workers were taken for each replica: %s", r.Workers, workersFrom(r.WorkersFrom)))
	}
	return lines
}

func workersFrom(source string) string {
	switch source {
	case evidence.WorkersFromPlan:
		return "the plan says so"
	case evidence.WorkersFromNodes:
		return "one for each processor of its node"
	default:
		return "assumed, because neither the plan nor the cluster says how many there are"
	}
}
