package ui

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
)

// A failure is a step that failed, for the block that closes the run.
type failure struct {
	engine.Event
	rules, broken int // of a proof, which are not shown
}

// fail shows that a step failed. The cause is shown once, when the run is over: the output
// of other steps would push it off the screen.
func (t *Text) fail(e engine.Event) {
	f := failure{Event: e}
	t.line(t.style.Red("✗"), e, fmt.Sprintf("%s %s", t.style.Red("failed"), t.style.Dim(display.Seconds(e.Seconds))))
	if t.verbose {
		t.findings(e.Step)
	}
	for _, one := range t.proofs[e.Step] {
		if f.rules++; one.Action == engine.ActionViolated {
			f.broken++
		}
	}
	delete(t.proofs, e.Step)
	t.failures = append(t.failures, f)
}

// mostLines bounds the cause in a block: the stack of a defect is behind -v, and in the
// report.
const mostLines = 12

// close shows a block for each failure: the cause and its place, until when the
// certificate holds, and the hint. A hint and a command that the next block has, too, are
// left to that.
func (t *Text) close() {
	for i, f := range t.failures {
		fmt.Fprintln(t.w)
		lines := strings.Split(strings.TrimRight(f.Error, "\n"), "\n")
		if more := len(lines) - mostLines; more > 0 && !t.verbose {
			lines = append(lines[:mostLines], fmt.Sprintf("… and %s: -v shows them", display.Count(more, "more line")))
		}
		if f.Position != "" {
			lines[0] = f.Position + ": " + lines[0]
		}
		t.line(t.style.Red("✗"), f.Event, strings.Join(lines, "\n"))
		if f.rules > 0 {
			t.labelled("rules", fmt.Sprintf("%d of %s broken; -v shows each", f.broken, display.Count(f.rules, "rule")))
		}
		shared := i+1 < len(t.failures) && f.Hint == t.failures[i+1].Hint && f.Next == t.failures[i+1].Next
		for _, r := range remedy(f.Event) {
			if r.label == labelServed || !shared {
				t.labelled(r.label, r.text)
			}
		}
	}
	t.failures = nil
}

// A remark is shown with a failure beside its cause.
type remark struct{ label, text string }

const labelServed = "served"

// remedy returns the remarks on a failure: until when clients are served, and the advice.
func remedy(e engine.Event) []remark {
	all := []remark{{labelServed, display.Until(e.Until, e.Time)}, {"hint", e.Hint}, {"next", e.Next}}
	return slices.DeleteFunc(all, func(r remark) bool { return r.text == "" })
}

// withRemedy returns the lines of a failure: its error, and the remarks with their labels.
func withRemedy(e engine.Event) []string {
	lines := strings.Split(strings.TrimRight(e.Error, "\n"), "\n")
	for _, r := range remedy(e) {
		lines = append(lines, r.label+": "+r.text)
	}
	return lines
}

// skipped shows the steps that were skipped, those with one reason in one line.
func (t *Text) skipped() {
	for len(t.skips) > 0 {
		why := t.skips[0].Message
		same := func(e engine.Event) bool { return e.Message == why }
		var ids []string
		for _, e := range t.skips {
			if same(e) {
				ids = append(ids, e.Step)
			}
		}
		first := t.skips[0]
		t.skips = slices.DeleteFunc(t.skips, same)
		if len(ids) == 1 {
			t.line(t.style.Dim("-"), first, t.style.Dim("skipped: "+why))
			continue
		}
		fmt.Fprintf(t.w, "%s %s\n", t.style.Dim("-"), t.style.Dim(fmt.Sprintf("%s skipped: %s: %s", display.Count(len(ids), "step"), below(why), t.someOf(ids))))
	}
}

// mostNamed bounds the steps that a line names.
const mostNamed = 6

func (t *Text) someOf(ids []string) string {
	if more := len(ids) - mostNamed; more > 0 && !t.verbose {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:mostNamed], ", "), more)
	}
	return strings.Join(ids, ", ")
}

// labelled shows a remark below the line of a step; its further lines stand below it.
func (t *Text) labelled(label, text string) {
	if text != "" {
		indent := "\n" + strings.Repeat(" ", len(label)+6)
		fmt.Fprintf(t.w, "    %s %s\n", t.style.Cyan(label+":"), strings.ReplaceAll(text, "\n", indent))
	}
}
