package main

import (
	"context"
	"encoding/json"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/history"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/journal"
)

func (a *app) runsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List past runs, newest first",
		Long: `Runs lists the runs of all plans that this user ran on this machine, newest first,
from their journals below $XDG_STATE_HOME/ztplan/runs. The journals of the last 20
runs of each plan are kept. With --lab it lists the runs on the lab. Dry runs are not
in it: they write nothing.

EDITS is the number of edits that were applied, without those of proofs.

Exit status: 0 the runs are printed, which may be none.`,
		Args: cli.NoUnknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			reports, err := a.history(cmd.Context())
			if err != nil {
				return err
			}
			runs := history.Runs(reports)
			if a.Output == "json" {
				return json.NewEncoder(display.JSONWriter{W: a.Stdout}).Encode(runs)
			}
			return history.Table(a.Text, runs)
		},
	}
	a.labFlags(cmd)
	cmd.AddCommand(a.runsShowCommand())
	return cmd
}

func (a *app) runsShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one run with its edits",
		Long: `Show prints what the journal of one run has: when and where it ran, its result, and
every edit that it began, with the outcome. The beginning of an id is enough.

Exit status: 0 the run is printed, 1 there is no such run.`,
		Args: cli.OneArgument("run", "20260118T170000"),
		RunE: func(cmd *cobra.Command, args []string) error {
			reports, err := a.history(cmd.Context())
			if err != nil {
				return err
			}
			r, err := history.Find(reports, args[0])
			if err != nil {
				return &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: engine.HintOf(err)}
			}
			if a.Output == "json" {
				return json.NewEncoder(display.JSONWriter{W: a.Stdout}).Encode(history.NewDetail(r))
			}
			return history.Text(a.Text, history.NewDetail(r))
		},
	}
	a.labFlags(cmd)
	cmd.ValidArgsFunction = a.completeRun
	return cmd
}

// history returns the journals that the flags ask for, newest first.
func (a *app) history(ctx context.Context) ([]*journal.Report, error) {
	if err := a.checkLab(); err != nil {
		return nil, err
	}
	if a.lab {
		_, lab, err := a.findLab(ctx)
		return journal.History(filepath.Join(lab.Dir, "runs")), err
	}
	state, err := stateDir()
	if err != nil {
		return nil, &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: engine.HintOf(err)}
	}
	return journal.History(filepath.Join(state, "runs")), nil
}
