package view

import (
	"fmt"
	"io"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine/display"
)

// mostListed bounds the clusters of a wave in a log.
const mostListed = 1000

// GitHub writes the end of a run for the log of a GitHub Actions job: a group for each
// wave with its clusters, and an annotation for each cause at its place in the plan.
func GitHub(w io.Writer, e End) {
	for _, wave := range e.Head.Waves {
		var lines strings.Builder
		n := 0
		for i := range e.Leaves {
			l := &e.Leaves[i]
			if l.Wave != wave.Name {
				continue
			}
			if n++; n > mostListed {
				continue
			}
			text := l.Cluster + " " + l.State
			if why := l.Why(); why != "" && !l.Settled() {
				why, _, _ = strings.Cut(why, "\n")
				text += ": " + why
			}
			fmt.Fprintln(&lines, display.Text(text))
		}
		if n > mostListed {
			fmt.Fprintf(&lines, "and %s more\n", ledger.Number(n-mostListed))
		}
		ui.Group(w, fmt.Sprintf("wave %s: %s", wave.Name, e.wave(wave.Name)), lines.String())
	}
	for _, g := range ledger.Causes(e.Leaves) {
		level := "error"
		if g.Open() {
			level = "warning"
		}
		text := fmt.Sprintf("%s: %s", g.Clusters(3), g.Text())
		if g.Hint != "" {
			text += "\nhint: " + g.Hint
		}
		ui.Annotate(w, level, ui.Problem{Position: e.place(g.Place), Text: text}, fmt.Sprintf("fleet %s: %s %s", e.Head.Fleet, ledger.Clusters(len(g.Names)), g.State))
	}
	if e.Head.Result == ledger.Converged && e.Head.Mode != "status" {
		ui.Annotate(w, "warning", ui.Problem{Text: ledger.Claim(e.Head)}, "fleet "+e.Head.Fleet) // a green job must not pass for a proof
	}
	Ending(w, ui.Style{}, e)
}

// wave returns the counts of a wave in words.
func (e *End) wave(name string) string {
	counts := make(map[string]int)
	for _, l := range e.Leaves {
		if l.Wave == name {
			counts[l.State]++
		}
	}
	return ledger.Words(counts)
}

// Summary returns the end of a run as GitHub-flavoured Markdown, for the page of a
// workflow run.
func Summary(e End) []byte {
	var b strings.Builder
	mark := "✓"
	if e.owed() {
		mark = "✗"
	}
	fmt.Fprintf(&b, "## %s fleet %s: %s\n\n%s\n", mark, md(e.Head.Fleet), md(e.Head.Result), md(ledger.Claim(e.Head)))
	if e.Head.Stopped != "" {
		fmt.Fprintf(&b, "\n> Stopped: %s\n", md(e.Head.Stopped))
	}
	b.WriteString("\n| wave | clusters | parallel | limit | |\n|---|--:|--:|--:|---|\n")
	for _, w := range e.Head.Waves {
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s |\n", md(w.Name), ledger.Number(w.Clusters), w.Parallel, md(w.Limit), md(e.wave(w.Name)))
	}
	if causes := ledger.Causes(e.Leaves); len(causes) > 0 {
		b.WriteString("\n| clusters | state | cause | |\n|--:|---|---|---|\n")
		for i, g := range causes {
			if i == 50 {
				fmt.Fprintf(&b, "\n… and %d more causes\n", len(causes)-i)
				break
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", ledger.Number(len(g.Names)), md(g.State), md(ledger.Brief(g.Text())), md(g.Clusters(3)))
		}
	}
	totals := ledger.Sum(e.Leaves)
	if text := totals.Rotation(); text != "" {
		fmt.Fprintf(&b, "\nRotation: %s\n", md(text))
	}
	for _, s := range totals.Versions {
		var parts []string
		for _, v := range s.List {
			parts = append(parts, fmt.Sprintf("%s on %s", v.Version, ledger.Number(v.Clusters)))
		}
		fmt.Fprintf(&b, "\n- %s: %s\n", s.Of, md(strings.Join(parts, ", ")))
	}
	if e.Head.Root != "" {
		fmt.Fprintf(&b, "\nRun `%s`, Merkle root `%s`\n", md(e.Head.Run), md(e.Head.Root))
	}
	return []byte(b.String())
}

// md makes a text from outside one line of Markdown without markup.
func md(s string) string { return report.Markdown(display.Text(s)) }
