package report

import (
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// A remedyLine follows the error of a step: "served", "hint" or "next".
type remedyLine struct{ Label, Text string }

// remedy returns the lines that follow the error of a failed step.
func remedy(s evidence.Step) []remedyLine {
	var out []remedyLine
	failed := s.Began.Add(time.Duration(s.Seconds * float64(time.Second)))
	for _, l := range []remedyLine{{"served", display.Until(s.Until, failed)}, {"hint", s.Hint}, {"next", s.Next}} {
		if l.Text != "" {
			out = append(out, l)
		}
	}
	return out
}

// Remedy returns the remarks on a failure with their labels as a page has them.
func (v stepView) Remedy() []remedyLine {
	lines := remedy(v.Step)
	for i := range lines {
		lines[i].Label = capitalised(lines[i].Label)
	}
	return lines
}

func capitalised(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
