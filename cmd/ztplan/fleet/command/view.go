package command

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/drive"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/view"
)

// people returns the stream for text to people, of a command that may write JSON.
func (a *commands) people() io.Writer {
	if a.Output == "json" {
		return a.Stderr
	}
	return a.Text
}

// view returns the reader of a run's snapshots that the flags ask for, and the
// function that ends it.
func (a *commands) view(f view.Fleet) (show func(drive.Snapshot), done func()) {
	if file, ok := a.Live(); ok {
		live := view.NewLive(a.Stdout, a.Style(file), cli.TerminalSize(file), f)
		before := a.Saying(live.Say)
		return live.Show, func() { a.Saying(before); _ = live.Close() }
	}
	lines := view.NewLines(a.people(), f)
	show = lines.Show
	if a.Output == "json" {
		records := view.NewJSON(a.Stdout, f)
		show = func(s drive.Snapshot) { records.Show(s); lines.Show(s) }
	}
	return show, func() { _ = lines.Close() }
}

// end describes the end of a run for its readers.
func (a *commands) end(d *fleet.Document, file string, head *ledger.Head, leaves []ledger.Leaf) view.End {
	flags := "-n " + d.Hub.Namespace
	if c := cmp.Or(a.Context, d.Hub.Context); c != "" {
		flags = "--context " + c + " " + flags
	}
	if k := cmp.Or(a.Kubeconfig, d.Hub.Kubeconfig); k != "" {
		flags = "--kubeconfig " + k + " " + flags
	}
	return view.End{Head: head, Leaves: leaves, File: file, Plan: filepath.Join(filepath.Dir(file), d.Plan.Name), Hub: flags, Report: a.report}
}

// showEnd shows the end of a run in the form that the output flag asks for.
func (a *commands) showEnd(e view.End) error {
	switch a.Output {
	case "json":
		view.NewJSON(a.Stdout, view.Fleet{}).End(e.Head, e.Report)
		view.Ending(a.Screen, a.Style(a.Screen), e)
	case "github":
		view.GitHub(a.Stdout, e)
		err := cli.GitHubSummary(view.Summary(e))
		if err == nil {
			err = a.GitHubResult(e.Head.Result)
		}
		if err != nil {
			return err
		}
	default:
		view.Ending(a.Stdout, a.Style(a.Stdout), e)
	}
	if e.Report != "" {
		fmt.Fprintf(a.Stderr, "report: %s\n", filepath.Join(e.Report, ledger.PageFile))
	}
	return nil
}
