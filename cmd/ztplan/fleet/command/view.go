package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/drive"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/view"
)

// people is where a command that may write JSON tells people something.
func (a *app) people() io.Writer {
	if a.output == "json" {
		return a.stderr
	}
	return a.text
}

// fleetView returns the reader of a run's snapshots that the flags ask for, and what ends
// it.
func (a *app) fleetView(f view.Fleet) (show func(drive.Snapshot), done func()) {
	file, tty := terminal(a.stdout)
	if a.output == "text" && tty && !a.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		live := view.NewLive(a.stdout, a.style(file), terminalSize(file), f)
		before := *a.voice.Load()
		a.saying(live.Say)
		return live.Show, func() { a.saying(before); _ = live.Close() }
	}
	lines := view.NewLines(a.people(), f)
	show = lines.Show
	if a.output == "json" {
		records := view.NewJSON(a.stdout, f)
		show = func(s drive.Snapshot) { records.Show(s); lines.Show(s) }
	}
	return show, func() { _ = lines.Close() }
}

// terminalSize returns what tells the size of a terminal in cells.
func terminalSize(f *os.File) func() (width, height int) {
	return func() (int, int) {
		w, h, err := term.GetSize(int(f.Fd()))
		if err != nil {
			return 80, 24
		}
		return w, h
	}
}

// fleetEnd describes the end of a run for its readers.
func (a *app) fleetEnd(d *fleet.Document, file string, head *ledger.Head, leaves []ledger.Leaf) view.End {
	flags := "-n " + d.Hub.Namespace
	if c := cmp.Or(a.context, d.Hub.Context); c != "" {
		flags = "--context " + c + " " + flags
	}
	if k := cmp.Or(a.kubeconfig, d.Hub.Kubeconfig); k != "" {
		flags = "--kubeconfig " + k + " " + flags
	}
	return view.End{Head: head, Leaves: leaves, File: file, Plan: filepath.Join(filepath.Dir(file), d.Plan.Name), Hub: flags, Report: a.report}
}

// tellEnd shows the end of a run in the form that the output flag asks for.
func (a *app) tellEnd(e view.End) error {
	switch a.output {
	case "json":
		view.NewJSON(a.stdout, view.Fleet{}).End(e.Head, e.Report)
		view.Ending(a.screen, a.style(a.screen), e)
	case "github":
		view.GitHub(a.stdout, e)
		if file := os.Getenv("GITHUB_STEP_SUMMARY"); file != "" {
			if err := appendTo(file, view.Summary(e)); err != nil {
				return fmt.Errorf("GITHUB_STEP_SUMMARY: %w", err)
			}
		}
		if file := os.Getenv("GITHUB_OUTPUT"); file != "" {
			if err := appendTo(file, []byte("result="+e.Head.Result+"\n")); err != nil {
				return fmt.Errorf("GITHUB_OUTPUT: %w", err)
			}
		}
	default:
		view.Ending(a.stdout, a.style(a.stdout), e)
	}
	if e.Report != "" {
		fmt.Fprintf(a.stderr, "report: %s\n", filepath.Join(e.Report, ledger.PageFile))
	}
	return nil
}
