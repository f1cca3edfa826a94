package ui

import (
	"fmt"
	"html"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/diff"
	"github.com/ztplan/ztplan/engine/display"
)

// mostSummary bounds a summary, in bytes: GitHub shows one mebibyte a step.
// Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
const mostSummary = 900 << 10

// Summary writes a dry run as GitHub-flavoured Markdown, for the page of a
// workflow run: a section for each step that folds open to its differences.
type Summary struct {
	write  func(text string) error
	steps  map[string]*strings.Builder // the differences, as lines of a diff
	titles map[string]string
	order  []string
	edits  map[string]int
}

// NewSummary returns a Summary that calls write once, when the run is over.
func NewSummary(write func(text string) error) *Summary {
	return &Summary{write: write, steps: make(map[string]*strings.Builder), titles: make(map[string]string), edits: make(map[string]int)}
}

// Event takes e. The error is that of writing, at the end.
func (s *Summary) Event(e engine.Event) error {
	e = display.Event(e)
	switch e.Action {
	case engine.ActionDiffers:
		s.edits[e.Step]++
		head := "@@ " + e.Path + " @@"
		if e.Message != "" {
			head += " " + e.Message
		}
		lines, _ := diff.Brief(e.Have, e.Want)
		s.add(e.Step, append([]string{head}, lines...)...)
	case engine.ActionPending:
		s.title(e, fmt.Sprintf("%s to make", display.Count(s.edits[e.Step], "edit")))
	case engine.ActionAwaiting:
		s.title(e, e.Message)
	case engine.ActionAfter:
		s.title(e, "known after "+strings.Join(e.Needs, ", "))
		lines, _ := diff.Brief(nil, e.Want)
		s.add(e.Step, lines...)
	case engine.ActionWould:
		s.title(e, "would prove")
		if e.Path == "" {
			s.add(e.Step, "  "+e.Message)
			return nil
		}
		lines, _ := diff.Brief(nil, e.Want)
		s.add(e.Step, append([]string{strings.TrimSpace("~ would change " + e.Path + "  " + e.Message)}, lines...)...)
	case engine.ActionFail:
		s.title(e, "failed")
		s.add(e.Step, withRemedy(e)...)
	case engine.ActionEnd:
		return s.write(s.text(e))
	}
	return nil
}

func (s *Summary) title(e engine.Event, text string) {
	s.add(e.Step)
	if s.titles[e.Step] == "" {
		s.order = append(s.order, e.Step)
	}
	s.titles[e.Step] = fmt.Sprintf("<b>%s</b> (%s): %s", html.EscapeString(e.Step), html.EscapeString(e.Kind), html.EscapeString(text))
}

// add adds lines of a diff. GitHub colours those that begin with !, not ~.
func (s *Summary) add(step string, lines ...string) {
	b := s.steps[step]
	if b == nil {
		b = &strings.Builder{}
		s.steps[step] = b
	}
	for _, l := range lines {
		if rest, ok := strings.CutPrefix(l, "~ "); ok {
			l = "! " + rest
		}
		// A fence in a value must not end the block.
		b.WriteString(strings.ReplaceAll(l, "```", "'''") + "\n")
	}
}

func (s *Summary) text(end engine.Event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## ztplan dry run of %s\n\n", html.EscapeString(strings.TrimSpace(end.Plan)))
	if end.Summary != nil {
		fmt.Fprintf(&b, "%d to change, %d unchanged", end.Summary.Pending, end.Summary.Unchanged)
		if end.Summary.Awaiting > 0 {
			fmt.Fprintf(&b, ", %d awaiting", end.Summary.Awaiting)
		}
		if end.Summary.Failed > 0 {
			fmt.Fprintf(&b, ", %d failed", end.Summary.Failed)
		}
		fmt.Fprintf(&b, "; nothing was written: **%s**.\n\n", end.Summary.Outcome())
		if end.Summary.Digest != "" {
			fmt.Fprintf(&b, "Digest `%s`: `ztplan run --expect` with it applies these edits and no others.\n\n", end.Summary.Digest)
		}
	}
	for _, id := range s.order {
		lines := s.steps[id].String()
		if b.Len()+len(lines) > mostSummary {
			lines = "too long for this page: see the log\n"
		}
		fmt.Fprintf(&b, "<details><summary>%s</summary>\n\n```diff\n%s```\n\n</details>\n", s.titles[id], lines)
	}
	return b.String()
}
