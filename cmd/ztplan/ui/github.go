package ui

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
)

// GitHub writes a run for the log of a GitHub Actions job: a collapsible group
// a step, and workflow commands that annotate the plan's lines.
// Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
//
// Steps run side by side while groups cannot nest, so a step's lines are kept
// until it ends. They hold text from outside: workflow commands are off while
// they are written, besides being escaped.
type GitHub struct {
	w       io.Writer
	verbose bool
	dryRun  bool
	steps   map[string]*githubStep
	order   []string // of first sight
	skips   []engine.Event
	token   string // that turns workflow commands on again
}

type githubStep struct {
	text     *Text
	lines    strings.Builder
	kind     string
	position string
}

// NewGitHub returns a GitHub that writes to w.
func NewGitHub(w io.Writer, verbose, dryRun bool) *GitHub {
	return &GitHub{w: w, verbose: verbose, dryRun: dryRun, steps: make(map[string]*githubStep), token: rand.Text()}
}

// Event writes or keeps e.
func (g *GitHub) Event(e engine.Event) {
	e = display.Event(e)
	if e.Action == engine.ActionEnd {
		for _, id := range g.order {
			if s := g.steps[id]; s.lines.Len() > 0 {
				g.close(id, "would prove", s) // nothing ends a proof of a dry run
			}
		}
		g.skipped()
		if s := e.Summary; s != nil && s.Result == engine.ResultConverged && s.Proofs > s.Proved {
			g.command("warning", "", "plan "+e.Plan, s.Outcome()) // a green job must not pass for a proof
		}
		NewText(g.w, Style{}, g.verbose, g.dryRun).Event(e)
		return
	}
	if e.Step == "" && e.Action == engine.ActionWarn {
		g.command("warning", "", "plan "+e.Plan, e.Message)
		return
	}
	s := g.steps[e.Step]
	if s == nil {
		s = &githubStep{kind: e.Kind, position: e.Position}
		s.text = NewText(&s.lines, Style{}, g.verbose, g.dryRun)
		g.steps[e.Step] = s
		g.order = append(g.order, e.Step)
	}
	s.text.Event(e)
	switch e.Action {
	case engine.ActionWarn:
		g.command("warning", s.position, e.Step+" ("+s.kind+")", e.Message)
	case engine.ActionFail:
		g.close(e.Step, "failed", s)
		g.command("error", s.position, e.Step+" ("+s.kind+")", strings.Join(withRemedy(e), "\n"))
	case engine.ActionUnchanged, engine.ActionChanged, engine.ActionProved, engine.ActionPending,
		engine.ActionAfter:
		g.close(e.Step, string(e.Action), s)
	case engine.ActionAwaiting:
		g.close(e.Step, e.Message, s)
		g.command("warning", s.position, e.Step+" ("+s.kind+")", e.Message)
	case engine.ActionSkip:
		if g.skips = append(g.skips, e); s.lines.Len() > 0 {
			g.close(e.Step, "skipped", s)
		}
	}
}

// skipped writes one group for all steps that were skipped.
func (g *GitHub) skipped() {
	if len(g.skips) == 0 {
		return
	}
	var lines strings.Builder
	text := NewText(&lines, Style{}, true, g.dryRun)
	text.skips = g.skips
	text.skipped()
	group(g.w, display.Count(len(g.skips), "step")+" skipped", lines.String(), g.token)
}

func (g *GitHub) close(step, state string, s *githubStep) {
	group(g.w, fmt.Sprintf("%s (%s): %s", step, s.kind, state), s.lines.String(), g.token)
	s.lines.Reset()
}

func group(w io.Writer, title, lines, token string) {
	fmt.Fprintf(w, "::group::%s\n", title)
	if lines != "" {
		fmt.Fprintf(w, "::stop-commands::%s\n%s::%s::\n", token, lines, token)
	}
	fmt.Fprintln(w, "::endgroup::")
}

// Group writes lines that fold open below a title. Workflow commands are off within.
func Group(w io.Writer, title, lines string) {
	if lines != "" {
		lines = strings.TrimSuffix(display.Text(lines), "\n") + "\n"
	}
	group(w, escapeData(display.Text(title)), lines, rand.Text())
}

func (g *GitHub) command(level, position, title, text string) {
	file, line, col := splitPosition(display.Text(position))
	properties := "title=" + escapeProperty(display.Text(title))
	if file != "" {
		properties = "file=" + escapeProperty(file) + ",line=" + line + ",col=" + col + "," + properties
	}
	fmt.Fprintf(g.w, "::%s %s::%s\n", level, properties, escapeData(display.Text(text)))
}

// splitPosition splits "file:line:col".
func splitPosition(p string) (file, line, col string) {
	i := strings.LastIndexByte(p, ':')
	if i < 0 {
		return "", "", ""
	}
	j := strings.LastIndexByte(p[:i], ':')
	if j < 0 {
		return "", "", ""
	}
	return p[:j], p[j+1 : i], p[i+1:]
}

func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}

// A Problem is something wrong with a plan.
type Problem struct {
	Position string // file:line:col
	Text     string
}

// Problems annotates the plan's lines with their problems.
func Problems(w io.Writer, problems []Problem) {
	g := GitHub{w: w}
	for _, p := range problems {
		g.command("error", p.Position, "invalid plan", p.Text)
	}
}

// Annotate annotates a line of the plan; level is "error", "warning" or "notice".
func Annotate(w io.Writer, level string, p Problem, title string) {
	g := GitHub{w: w}
	g.command(level, p.Position, title, p.Text)
}
