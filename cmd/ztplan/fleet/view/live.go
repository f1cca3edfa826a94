package view

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/drive"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine/display"
)

// Live shows a run on a terminal: a line for each wave that is over, and below them a view
// redrawn in place: the waves, why no further cluster is touched, the failures by their
// causes, the pods that cannot start, and those that run.
type Live struct {
	style ui.Style
	fleet Fleet
	began time.Time

	screen *ui.Screen // its Change guards the fields below
	waves  map[string]Counts
	last   *drive.Snapshot
	told   string // wave whose line was left behind
	pace   pace
}

// NewLive returns a Live that draws on w; size gives the terminal's size in cells. Close
// must be called to leave the screen in order.
func NewLive(w io.Writer, style ui.Style, size func() (width, height int), f Fleet) *Live {
	l := &Live{
		screen: ui.NewScreen(w, size), style: style, fleet: f, began: time.Now(), waves: make(map[string]Counts),
		pace: pace{seen: make(map[string]bool)},
	}
	l.screen.Show(l.view)
	return l
}

// Show takes the state of the wave that runs.
func (l *Live) Show(s drive.Snapshot) {
	l.screen.Change(func(lines io.Writer) {
		l.last = &s
		l.waves[s.Name] = countsOf(&s)
		l.pace.add(s.Settled)
		if s.Over && l.told != s.Name {
			l.told = s.Name
			fmt.Fprintln(lines, WaveLine(drive.Snapshot{Wave: s.Wave}))
		}
	})
}

// Say shows a line above the view.
func (l *Live) Say(line string) {
	l.screen.Change(func(lines io.Writer) { fmt.Fprintln(lines, display.Text(line)) })
}

// Close removes the view.
func (l *Live) Close() error { return l.screen.Close() }

// view returns at most so many lines. The last one is the sum; the running clusters have
// the room that the others leave.
func (l *Live) view(most int) []string {
	s, now := l.last, time.Now()
	if s == nil {
		return nil
	}
	out := l.waveLines(max(1, min(most/3, most-2)), now)
	if why := holds(s); why != "" && len(out) < most-1 {
		out = append(out, "  "+l.style.Yellow(why))
	}
	out = append(out, few(l.causeLines(), min(max(1, most/3), most-1-len(out)), "causes")...)
	for _, text := range waiting(s) {
		if len(out) < most-1 {
			out = append(out, l.style.Yellow("! ")+text)
		}
	}
	out = append(out, few(l.runningLines(now), most-1-len(out), "run")...)
	return append(out, l.sum(now))
}

// few returns at most n of the lines; the last one counts those that are left out.
func few(lines []string, n int, what string) []string {
	switch {
	case n <= 0:
		return nil
	case len(lines) <= n:
		return lines
	}
	return append(lines[:n-1:n-1], fmt.Sprintf("  and %s more %s", ledger.Number(len(lines)-n+1), what))
}

// waveLines shows at most n waves, those around the one that runs.
func (l *Live) waveLines(n int, now time.Time) []string {
	width, current := 0, 0
	var names []string
	for _, w := range l.fleet.Run.Waves {
		if w.Clusters == 0 {
			continue
		}
		if w.Name == l.last.Name {
			current = len(names)
		}
		names = append(names, w.Name)
		width = max(width, utf8.RuneCountInString(w.Name))
	}
	from := max(0, min(current-n/2, len(names)-n))
	var out []string
	for i, name := range names[from:min(from+n, len(names))] {
		w, _ := l.fleet.Run.Wave(name)
		c, begun := l.waves[name]
		if !begun {
			c = Counts{Clusters: w.Clusters, ToCome: w.Clusters}
		}
		mark, text := " ", c.text()
		switch {
		case from+i < current, from+i == current && l.last.Over && c.Settled == c.Clusters:
			mark = l.style.Green("✓")
			if c.Settled < c.Clusters {
				mark = l.style.Red("✗")
			}
		case from+i == current && !l.last.Over:
			mark = l.style.Cyan(ui.Spinner(now.Sub(l.began)))
		case from+i == current:
			mark = l.style.Red("✗")
		}
		if from+i == current && !l.last.Soaking.IsZero() {
			text += l.style.Cyan("; soaks another " + elapsed(l.last.Soaking.Sub(now)))
		}
		out = append(out, fmt.Sprintf("%s %s %s %s", mark, l.style.Bold(padded(name, width)), l.style.Progress(c.Settled+c.Failed+c.Held, c.Clusters), text))
	}
	return out
}

func (l *Live) causeLines() []string {
	var out []string
	for _, g := range l.fleet.causes(l.last) {
		mark := l.style.Red("✗")
		if g.State == again {
			mark = l.style.Yellow("↻")
		}
		out = append(out, fmt.Sprintf("%s %s %s: %s: %s", mark, ledger.Number(len(g.Names)), g.State, g.Clusters(3), g.Text()))
	}
	return out
}

func (l *Live) runningLines(now time.Time) []string {
	out := make([]string, 0, len(l.last.Running))
	width := 0
	for _, p := range l.last.Running {
		width = max(width, utf8.RuneCountInString(l.fleet.name(l.last.Name, p.Index)))
	}
	for _, p := range l.last.Running {
		out = append(out, fmt.Sprintf("  %s %s", padded(l.fleet.name(l.last.Name, p.Index), width), l.style.Dim(fmt.Sprintf("%6s", elapsed(now.Sub(p.Created))))))
	}
	return out
}

// sum is the line about the whole round.
func (l *Live) sum(now time.Time) string {
	done, all := 0, 0
	for _, w := range l.fleet.Run.Waves {
		all += w.Clusters
		c := l.waves[w.Name]
		done += c.Settled + c.Failed + c.Held
	}
	text := fmt.Sprintf("  %s of %s clusters, %s", ledger.Number(done), ledger.Number(all), elapsed(now.Sub(l.fleet.Run.Created)))
	if l.fleet.Run.Round > 0 {
		text = fmt.Sprintf("  %s of %s clusters, %s", ledger.Number(done), ledger.Number(all), elapsed(now.Sub(l.began)))
	}
	if left, ok := l.pace.left(l.fleet.Run, l.last, now); ok && left >= time.Second {
		text += ", about " + ledger.Span(left) + " left"
	}
	return l.style.Bold(text)
}

func padded(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}

// elapsed formats a time in whole seconds.
func elapsed(d time.Duration) string { return ledger.Span(max(0, d).Round(time.Second)) }
