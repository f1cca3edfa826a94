package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
)

// Live is Text for a terminal: below the lines it keeps a view of the graph,
// redrawn in place: the running steps, their times and activities, and
// how much is left. A status of several lines is shown whole.
type Live struct {
	text  *Text
	show  func(engine.Event) // text, in the plan's order in a dry run
	style Style
	began time.Time

	screen  *Screen // its Change guards the fields below
	total   int
	done    int
	running []*active
	needs   map[string][]string
	ended   map[string]bool
	over    bool
}

type active struct {
	step  string
	since time.Time
	doing string
}

// NewLive returns a Live that draws on w; size gives the terminal's size in
// cells. Close must be called to leave the screen in order.
func NewLive(w io.Writer, style Style, verbose, dryRun bool, size func() (width, height int)) *Live {
	l := &Live{screen: NewScreen(w, size), style: style, began: time.Now(), needs: make(map[string][]string), ended: make(map[string]bool)}
	l.text = NewText(&l.screen.lines, style, verbose, dryRun)
	l.show = l.text.Event
	if dryRun {
		l.show = InOrder(l.text.Event)
	}
	l.text.progress = nil // the view shows it
	l.screen.Show(l.view)
	return l
}

// Text returns the text above the view.
func (l *Live) Text() *Text { return l.text }

// Event shows e.
func (l *Live) Event(e engine.Event) {
	e = display.Event(e)
	l.screen.Change(func(io.Writer) { l.handle(e) })
}

func (l *Live) handle(e engine.Event) {
	switch e.Action {
	case engine.ActionPlan:
		l.total++
		l.needs[e.Step] = e.Needs
	case engine.ActionStart:
		l.running = append(l.running, &active{step: e.Step, since: time.Now(), doing: "looking"})
	case engine.ActionApply:
		l.doing(e.Step, "applying "+e.Path)
	case engine.ActionApplied:
		l.doing(e.Step, "applied "+e.Path)
	case engine.ActionStatus:
		l.doing(e.Step, e.Message)
	case engine.ActionWait:
		// The view shows it; a line for each change would only scroll.
		l.doing(e.Step, "waiting for "+e.Message)
		if !l.text.verbose {
			return
		}
	case engine.ActionRetry:
		l.doing(e.Step, retrying(e))
		if !l.text.verbose {
			return
		}
	case engine.ActionUnchanged, engine.ActionChanged, engine.ActionProved, engine.ActionAwaiting, engine.ActionPending,
		engine.ActionAfter, engine.ActionWould, engine.ActionSkip, engine.ActionFail:
		if !l.ended[e.Step] { // a proof of a dry run has a line for each intent
			l.done++
		}
		l.ended[e.Step] = true
		for i, a := range l.running {
			if a.step == e.Step {
				l.running = append(l.running[:i], l.running[i+1:]...)
				break
			}
		}
	case engine.ActionEnd:
		l.over = true
	}
	l.show(e)
}

// Close removes the view and stops drawing.
func (l *Live) Close() error { return l.screen.Close() }

// retrying shows in the view that an error is tried again, and below that the hint.
func retrying(e engine.Event) string {
	text := "trying again: " + display.FirstLine(e.Error)
	if e.Count > 1 {
		text = fmt.Sprintf("trying again, ×%d: %s", e.Count, display.FirstLine(e.Error))
	}
	if e.Hint != "" {
		text += "\nhint: " + e.Hint
	}
	return text
}

// Say shows a line that is no event, above the view.
func (l *Live) Say(line string) {
	l.screen.Change(func(lines io.Writer) { fmt.Fprintln(lines, below(display.Text(line))) })
}

func (l *Live) doing(step, what string) {
	for _, a := range l.running {
		if a.step == step {
			a.doing = what
		}
	}
}

func (l *Live) view(most int) []string {
	if l.over || l.total == 0 {
		return nil
	}
	now := time.Now()
	mark := Spinner(now.Sub(l.began))
	var out []string
	for i, a := range l.running {
		if len(out) >= most-1 {
			out = append(out, l.style.Dim(fmt.Sprintf("  and %d more", len(l.running)-i)))
			break
		}
		doing, more, _ := strings.Cut(a.doing, "\n")
		out = append(out, fmt.Sprintf("%s %s %s %s", l.style.Cyan(mark), l.style.Bold(pad(a.step, l.text.width)),
			l.style.Dim(fmt.Sprintf("%6s", display.Seconds(now.Sub(a.since).Seconds()))), doing))
		for line := range strings.SplitSeq(more, "\n") {
			if more != "" && len(out) < most-1 {
				out = append(out, strings.Repeat(" ", l.text.width+10)+l.style.bar(line))
			}
		}
	}
	return append(out, l.bar(now)+l.next())
}

func (l *Live) bar(now time.Time) string {
	return fmt.Sprintf("  %s %d of %d steps, %s", l.style.Progress(l.done, l.total), l.done, l.total, display.Seconds(now.Sub(l.began).Seconds()))
}

// next names the steps that start when the running ones are done.
func (l *Live) next() string {
	running := make(map[string]bool, len(l.running))
	for _, a := range l.running {
		running[a.step] = true
	}
	var ids []string
	for id, needs := range l.needs {
		if l.ended[id] || running[id] {
			continue
		}
		ready := len(needs) > 0
		for _, n := range needs {
			ready = ready && (l.ended[n] || running[n])
		}
		if ready {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	slices.Sort(ids)
	return l.style.Dim("; next: " + strings.Join(ids, ", "))
}
