package history

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/journal"
)

// Table writes a line for each run.
func Table(w io.Writer, runs []Run) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RUN\tBEGAN\tPLAN\tRESULT\tEDITS\tTOOK")
	for _, r := range runs {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\n", r.ID, local(r.Began), r.Plan, r.Outcome, r.Edits, display.Seconds(r.Seconds))
	}
	return t.Flush()
}

// Text writes one run with its edits.
func Text(w io.Writer, d Detail) error {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-9s%s\n", name, value)
		}
	}
	line("run", d.ID)
	line("plan", d.Plan+", "+d.File)
	line("server", d.Server)
	line("host", d.Host)
	line("began", local(d.Began))
	line("took", display.Seconds(d.Seconds))
	line("result", d.Outcome)
	if s := d.Summary; s != nil {
		line("steps", strings.Join(display.Counts(*s), ", "))
		line("path", strings.Join(s.CriticalPath, " → "))
	}
	line("journal", d.Journal)
	line("damage", d.Damage)
	b.WriteString("\n" + display.Count(len(d.Changes), "edit") + "\n")
	steps, paths := 0, 0
	for _, e := range d.Changes {
		steps, paths = max(steps, len(e.Step)), max(paths, len(e.Path))
	}
	for _, e := range d.Changes {
		mark, remark := "✓", display.Seconds(e.Seconds)
		switch e.Outcome {
		case journal.Failed:
			mark, remark = "✗", remark+"  "+display.FirstLine(e.Error)
		case journal.Intent, journal.Unknown:
			mark, remark = "?", "cut off: it may have taken effect"
		}
		if e.Attempt > 1 {
			remark += "  attempt " + strconv.Itoa(e.Attempt)
		}
		if e.Proof {
			remark += "  by a proof"
		}
		fmt.Fprintf(&b, "%s %-*s  %-*s  %s\n", mark, steps, e.Step, paths, e.Path, remark)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// local shows a time by the clock of the reader.
func local(t time.Time) string { return t.Local().Format(time.DateTime) }
