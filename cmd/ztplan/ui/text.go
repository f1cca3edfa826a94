package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/diff"
	"github.com/ztplan/ztplan/engine/display"
)

// Text writes a run as lines for people: one block a step when it ends,
// differences before that, and a summary.
type Text struct {
	w       io.Writer
	style   Style
	verbose bool
	dryRun  bool
	width   int      // of the longest step id
	last    string   // the step whose differences were shown last
	folded  bool     // whether something was left out for brevity
	drift   bool     // whether only differences are shown
	later   []string // with drift, the steps that are known after others

	proofs   map[string][]engine.Event // findings of a proof, shown when it ends
	failures []failure                 // shown at the end
	skips    []engine.Event            // shown at the end, those with one reason together
	awaiting []engine.Event            // shown at the end: the things that persons have to give
	progress map[string]time.Time      // when the next status of a step is shown; nil for never
	applying map[string]bool           // by step: an edit is being applied
}

// Without a terminal a step shows its progress after a while, and then at most
// so often.
const (
	progressAfter = 2 * time.Second
	progressEvery = 5 * time.Second
)

// NewText returns a Text that writes to w. In a dry run, differences are shown,
// and with verbose in full; in a run only with verbose, and in brief.
func NewText(w io.Writer, style Style, verbose, dryRun bool) *Text {
	return &Text{w: w, style: style, verbose: verbose, dryRun: dryRun, width: 8,
		proofs: make(map[string][]engine.Event), progress: make(map[string]time.Time), applying: make(map[string]bool)}
}

// OnlyDrift shows only differences, warnings and failures, unless with verbose: the
// text of a status.
func (t *Text) OnlyDrift() { t.drift = !t.verbose }

// Event shows e.
func (t *Text) Event(e engine.Event) {
	e = display.Event(e)
	if t.drift {
		switch e.Action {
		case engine.ActionUnchanged, engine.ActionPending, engine.ActionWould:
			return
		case engine.ActionAfter:
			t.later = append(t.later, e.Step)
			return
		}
	}
	switch e.Action {
	case engine.ActionPlan:
		t.width = min(max(t.width, len(e.Step)), 24)
	case engine.ActionDiffers:
		t.differs(e)
	case engine.ActionApply:
		t.applying[e.Step] = !e.Proof
		if t.verbose {
			t.line("…", e, "applying "+e.Path)
		}
	case engine.ActionApplied:
		delete(t.applying, e.Step)
		t.line(t.style.Green("+"), e, fmt.Sprintf("%s %s", e.Path, t.style.Dim("("+display.Seconds(e.Seconds)+")")))
	case engine.ActionUnknown:
		t.line(t.style.Yellow("?"), e, fmt.Sprintf("%s: cut off, whether it took effect is not known: %s", e.Path, e.Error))
	case engine.ActionWait:
		t.line(t.style.Dim("…"), e, t.style.Dim("waiting for "+e.Message))
	case engine.ActionRetry:
		t.retry(e)
	case engine.ActionWarn:
		if e.Step == "" {
			fmt.Fprintf(t.w, "%s warning: %s\n", t.style.Yellow("!"), below(e.Message))
			return
		}
		t.line(t.style.Yellow("!"), e, "warning: "+e.Message)
	case engine.ActionStart:
		if t.progress != nil {
			t.progress[e.Step] = e.Time.Add(progressAfter)
		}
	case engine.ActionStatus:
		t.status(e)
	case engine.ActionLog:
		if t.verbose {
			t.line(t.style.Dim("·"), e, t.style.Dim(e.Message))
		}
	case engine.ActionEvidence:
		t.denied(e)
	case engine.ActionFinding, engine.ActionViolated:
		t.proofs[e.Step] = append(t.proofs[e.Step], e)
	case engine.ActionUnchanged, engine.ActionChanged:
		mark := t.style.Dim("=")
		if e.Action == engine.ActionChanged {
			mark = t.style.Green("✓")
		}
		t.line(mark, e, fmt.Sprintf("%s %s", e.Action, t.style.Dim(display.Seconds(e.Seconds)+t.behind(e))))
	case engine.ActionProved:
		t.line(t.style.Green("✓"), e, fmt.Sprintf("%s %s", t.style.Bold("proved"), t.style.Dim(display.Seconds(e.Seconds))))
		t.findings(e.Step)
	case engine.ActionAwaiting:
		t.awaiting = append(t.awaiting, e)
	case engine.ActionPending:
		if text := t.behind(e); text != "" {
			t.line(t.style.Dim("»"), e, t.style.Dim(strings.TrimPrefix(text, ", ")))
		}
	case engine.ActionAfter:
		t.between(e.Step)
		t.line(t.style.Cyan("»"), e, "known after "+strings.Join(e.Needs, ", "))
		t.lines(diff.Lines(nil, e.Want))
	case engine.ActionWould:
		t.between(e.Step)
		t.would(e)
	case engine.ActionSkip:
		t.skips = append(t.skips, e)
	case engine.ActionFail:
		t.fail(e)
	case engine.ActionEnd:
		t.end(e)
	}
}

// behind names the differing steps that a step of a dry run comes after.
func (t *Text) behind(e engine.Event) string {
	if len(e.Needs) == 0 {
		return ""
	}
	return ", may change after " + strings.Join(e.Needs, ", ")
}

// status shows the first line of a step's progress, now and then.
func (t *Text) status(e engine.Event) {
	text, _, _ := strings.Cut(e.Message, "\n")
	due, ok := t.progress[e.Step]
	switch {
	case t.verbose:
	case !ok || e.Time.Before(due):
		return
	default:
		t.progress[e.Step] = e.Time.Add(progressEvery)
	}
	t.line(t.style.Dim("·"), e, t.style.Dim(text))
}

func (t *Text) differs(e engine.Event) {
	if !t.dryRun && !t.verbose {
		return
	}
	text := e.Path
	if e.Message != "" {
		text += t.style.Dim("  " + e.Message)
	}
	t.between(e.Step)
	t.line(t.style.Yellow("~"), e, text)
	if t.dryRun && t.verbose {
		t.lines(diff.Lines(e.Have, e.Want))
		return
	}
	lines, folded := diff.Brief(e.Have, e.Want)
	t.folded = t.folded || folded
	t.lines(lines)
}

// would shows the intent of a proof and, marked like differences, its changes.
func (t *Text) would(e engine.Event) {
	if e.Path == "" {
		t.line(t.style.Dim("»"), e, "would "+e.Message)
		return
	}
	text := "would change " + e.Path
	if e.Message != "" {
		text += t.style.Dim("  " + e.Message)
	}
	t.line(t.style.Yellow("»"), e, text)
	lines, folded := diff.Brief(nil, e.Want)
	if _, list := e.Want.([]any); list { // of attempts, which the intent has named
		lines, folded = nil, true
	}
	if t.verbose {
		lines, folded = diff.Lines(nil, e.Want), false
	}
	t.folded = t.folded || folded
	t.lines(lines)
}

// between leaves a blank line before the differences of another step.
func (t *Text) between(step string) {
	if t.dryRun && t.last != "" && t.last != step {
		fmt.Fprintln(t.w)
	}
	t.last = step
}

// denied shows the requests that were refused, as an edit needs it. Proofs have their
// findings for that, and other records are for the evidence.
func (t *Text) denied(e engine.Event) {
	d, _ := e.Data.(map[string]any)
	if e.Name == "denial" && d["refused"] == true && t.applying[e.Step] {
		t.line(t.style.Green("✓"), e, fmt.Sprintf("refused: %v%s", d["what"], t.style.Dim(fmt.Sprintf(": %v", d["answer"]))))
	}
}

// retry shows an error that is tried again: its first line, and then only how often it
// came. The hint is shown if the step fails.
func (t *Text) retry(e engine.Event) {
	text := display.FirstLine(e.Error)
	if t.verbose {
		text = e.Error
	}
	switch {
	case e.Count > 1 && !t.verbose:
		text = fmt.Sprintf("the same again, ×%d", e.Count)
	case e.Path != "":
		text = "trying again: " + e.Path + ": " + text
	default:
		text = "trying again: " + text
	}
	t.line(t.style.Yellow("↻"), e, text)
	if t.verbose {
		t.labelled("hint", e.Hint)
	}
}

func (t *Text) findings(step string) {
	for _, f := range t.proofs[step] {
		mark := t.style.Green("✓")
		if f.Action == engine.ActionViolated {
			mark = t.style.Red("✗")
		}
		text := f.Path
		if saw := value(f.Have); saw != "" {
			text += t.style.Dim(": " + saw)
		}
		fmt.Fprintf(t.w, "      %s %s\n", mark, below(text))
		if f.Message != "" && (f.Action == engine.ActionViolated || t.verbose) {
			for l := range strings.SplitSeq(strings.TrimRight(f.Message, "\n"), "\n") {
				fmt.Fprintf(t.w, "          %s\n", t.style.Dim(l))
			}
		}
	}
	delete(t.proofs, step)
}

func (t *Text) end(e engine.Event) {
	if len(t.later) > 0 {
		t.between("")
		fmt.Fprintf(t.w, "%s known only after others: %s\n", t.style.Cyan("»"), strings.Join(t.later, ", "))
	}
	t.skipped()
	for _, step := range t.awaiting {
		t.line(t.style.Yellow("…"), step, step.Message)
	}
	t.close()
	s := e.Summary
	if s == nil {
		return
	}
	parts := display.Counts(*s)
	if len(parts) == 0 {
		parts = []string{"nothing looked at"}
	}
	fmt.Fprintf(t.w, "\n%s", t.style.Bold(strings.Join(parts, ", ")))
	if !t.dryRun {
		retries := "1 retry"
		if s.Retries != 1 {
			retries = fmt.Sprintf("%d retries", s.Retries)
		}
		fmt.Fprintf(t.w, "; %s, %s", display.Count(s.Edits, "edit"), retries)
	}
	switch {
	case t.drift:
	case s.ProofEdits > 0 && t.dryRun:
		fmt.Fprintf(t.w, "; proofs would make %s", display.Count(s.ProofEdits, "change"))
	case s.ProofEdits > 0:
		fmt.Fprintf(t.w, "; proofs made %s", display.Count(s.ProofEdits, "change"))
	}
	fmt.Fprintf(t.w, " in %s\n", display.Seconds(s.WallSeconds))
	if t.folded && t.dryRun {
		fmt.Fprintf(t.w, "%s\n", t.style.Dim("shown in brief; -v shows every field, --output json too"))
	}
	if s.Digest != "" {
		fmt.Fprintf(t.w, "%s %s\n", t.style.Dim("digest"), s.Digest)
	}
	if len(s.CriticalPath) > 1 && s.WallSeconds > 0 && !t.dryRun {
		fmt.Fprintf(t.w, "%s\n", t.style.Dim(fmt.Sprintf("critical path %s (%.0f %%): %s",
			display.Seconds(s.CriticalSeconds), 100*s.CriticalSeconds/s.WallSeconds, strings.Join(s.CriticalPath, " → "))))
	}
	fmt.Fprintf(t.w, "%s\n", t.result(s))
}

// result is the last line of a run.
func (t *Text) result(s *engine.Summary) string {
	text := t.style.Bold(s.Outcome())
	switch s.Result {
	case engine.ResultProved:
		return t.style.Green(text)
	case engine.ResultFailed, engine.ResultInterrupted:
		return t.style.Red(text)
	}
	return t.style.Yellow(text)
}

func (t *Text) line(mark string, e engine.Event, text string) {
	fmt.Fprintf(t.w, "%s %s %s\n", mark, t.style.Bold(pad(e.Step, t.width)), below(text))
}

// below indents the lines after the first, so that no line of a text from
// outside looks like one of ours.
func below(text string) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n      ")
}

func (t *Text) lines(lines []string) {
	for _, l := range lines {
		fmt.Fprintf(t.w, "      %s\n", t.style.diffLine(below(l)))
	}
}

func pad(s string, n int) string {
	if len(s) >= n {
		return s
	}
	return s + strings.Repeat(" ", n-len(s))
}

func value(v any) string {
	if v == nil {
		return ""
	}
	lines := diff.Lines(nil, v)
	for i, l := range lines {
		lines[i] = strings.TrimPrefix(l, "+ ")
	}
	return strings.Join(lines, ", ")
}
