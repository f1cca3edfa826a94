package history

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/planflags"
	"github.com/ztplan/ztplan/engine"
)

// Command returns the command that lists past runs, with the one below it that shows one.
func Command(a *planflags.Flags) *cobra.Command {
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
			reports, err := a.History(cmd.Context())
			if err != nil {
				return err
			}
			runs := Runs(reports)
			if a.Output == "json" {
				return a.WriteJSON(runs)
			}
			return Table(a.Text, runs)
		},
	}
	a.LabFlags(cmd)
	a.OutputFlag(cmd, "text", "json")
	cmd.AddCommand(showCommand(a))
	return cmd
}

func showCommand(a *planflags.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one run with its edits",
		Long: `Show prints what the journal of one run has: when and where it ran, its result, and
every edit that it began, with the outcome. The beginning of an id is enough.

Exit status: 0 the run is printed, 1 there is no such run.`,
		Args: cli.OneArgument("run", "20260118T170000"),
		RunE: func(cmd *cobra.Command, args []string) error {
			reports, err := a.History(cmd.Context())
			if err != nil {
				return err
			}
			r, err := Find(reports, args[0])
			if err != nil {
				return &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: engine.HintOf(err)}
			}
			if a.Output == "json" {
				return a.WriteJSON(NewDetail(r))
			}
			return Text(a.Text, NewDetail(r))
		},
	}
	a.LabFlags(cmd)
	a.OutputFlag(cmd, "text", "json")
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return completeRun(a, cmd, args)
	}
	return cmd
}

// completeRun completes the id of a run, newest first.
func completeRun(a *planflags.Flags, cmd *cobra.Command, args []string) (ids []string, _ cobra.ShellCompDirective) {
	reports, err := a.History(cmd.Context())
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, r := range Runs(reports) {
		ids = append(ids, cobra.CompletionWithDesc(r.ID, r.Plan+", "+r.Began.Local().Format(time.DateTime)+", "+r.Outcome))
	}
	return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
