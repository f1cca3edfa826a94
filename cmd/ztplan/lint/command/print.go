package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	"github.com/ztplan/ztplan/engine/display"
)

// writeText writes a report for people: the findings, the budgets, and how many there
// are of each severity in the plan called name. Of an invalid plan without findings it
// writes no counts: they would pass for a sound plan.
func writeText(w io.Writer, name string, r lint.Report, valid bool) error {
	var b strings.Builder
	for _, f := range r.Findings {
		step := ""
		if f.Step != "" {
			step = "step " + f.Step + ": "
		}
		fmt.Fprintf(&b, "%s: %s: %s%s [%s]\n    why: %s\n    hint: %s\n", f.Position, f.Severity, step, f.Message, f.Rule, f.Why, f.Hint)
	}
	if len(r.Budgets) > 0 {
		b.WriteString("\nwhen a renewal fails once, the next try comes after backoff; remains is the time from then to the end of the certificate:\n")
		table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "certificate\tduration\trenewBefore\tbackoff\tremains")
		for _, c := range r.Budgets {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", c.Certificate, c.Duration, c.RenewBefore, c.Backoff, c.Remains)
		}
		_ = table.Flush() // to a Builder
		b.WriteString("\n")
	}
	if n := len(r.Ignored); n > 0 {
		fmt.Fprintf(&b, "ignored with a reason: %d\n", n)
	}
	if valid || len(r.Findings) > 0 {
		fmt.Fprintf(&b, "%s: %s, %s", name, display.Count(r.Count(lint.Error), "error"), display.Count(r.Count(lint.Warning), "warning"))
		if n := r.Count(lint.Note); n > 0 {
			fmt.Fprintf(&b, ", %s", display.Count(n, "note"))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
