package view

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine/display"
)

// An End is the result of a run.
type End struct {
	Head   *ledger.Head
	Leaves []ledger.Leaf
	File   string // of the fleet, for the next command
	Plan   string // file of the plan, which places are in
	Hub    string // flags of kubectl for the namespace of the hub
	Report string // directory; empty if none was written
}

// owed reports whether there is something for a resumption.
func (e *End) owed() bool {
	c := e.Head.Counts
	return c[ledger.Failed]+c[ledger.Crashed]+c[ledger.Held]+c[ledger.Waiting] > 0
}

// place returns a position in the plan as a path from here.
func (e *End) place(position string) string {
	if position == "" || filepath.IsAbs(position) {
		return position
	}
	return filepath.Join(filepath.Dir(e.Plan), position)
}

// Ending prints the end of a run: each cause once with the clusters that have it, the
// extremes of the rotation proofs, the result, and the next command.
func Ending(w io.Writer, style ui.Style, e End) {
	for _, g := range display.Copy(ledger.Causes(e.Leaves)) {
		state := style.Red(g.State)
		if g.Open() {
			state = style.Yellow(g.State)
		}
		fmt.Fprintf(w, "%s: %s: %s\n", state, style.Bold(g.Clusters(3)), g.Text())
		if g.Place != "" {
			fmt.Fprintf(w, "  at %s\n", display.Text(e.place(g.Place)))
		}
		if g.Hint != "" {
			fmt.Fprintf(w, "  %s %s\n", style.Cyan("hint:"), strings.ReplaceAll(g.Hint, "\n", "\n        "))
		}
		if g.Pod != "" && !g.Open() {
			fmt.Fprintf(w, "  %s kubectl %s logs %s\n", style.Cyan("log:"), display.Text(e.Hub), g.Pod)
		}
	}
	if text := ledger.Sum(e.Leaves).Rotation(); text != "" {
		fmt.Fprintf(w, "rotation: %s\n", display.Text(text))
	}
	if e.Head.Stopped != "" {
		fmt.Fprintf(w, "stopped: %s\n", display.Text(e.Head.Stopped))
	}
	result := style.Bold(fmt.Sprintf("%s: %s", e.Head.Result, ledger.Words(e.Head.Counts)))
	switch e.Head.Result {
	case ledger.Proved:
		result = style.Green(result)
	case ledger.Converged, ledger.Differs, ledger.Awaiting:
		result = style.Yellow(result)
	default:
		result = style.Red(result)
	}
	fmt.Fprintln(w, result)
	if e.owed() {
		fmt.Fprintf(w, "next: ztplan fleet resume %s\n", display.Text(e.File))
	}
}
