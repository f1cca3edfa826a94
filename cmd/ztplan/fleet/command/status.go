package command

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/drive"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/view"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
)

// lastRun reads the fleet's document, without its inventory, and the rounds of its last
// run.
func (a *commands) lastRun(ctx context.Context, file string) (*fleet.Document, *hub.Hub, []record.Run, error) {
	a.Inputs = engine.NewInputs(ctx)
	d, err := fleet.Read(file, a.Inputs)
	if err != nil {
		a.Problems(err)
		return nil, nil, nil, &cli.Error{Code: cli.Invalid}
	}
	h, err := a.hub(d.Hub)
	if err != nil {
		return nil, nil, nil, err
	}
	rounds, _, err := h.Rounds(ctx, d.Metadata.Name)
	if err == nil && len(rounds) == 0 {
		err = &cli.Error{Code: cli.Failed, Text: "fleet " + d.Metadata.Name + " has no run on the hub", Hint: "ztplan fleet run " + file}
	}
	return d, h, rounds, err
}

func (a *commands) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status FLEET",
		Short: "What became of the clusters in the last run",
		Long: `Status reads the last run of a fleet from the hub: its waves, and the clusters by
what became of them, with each cause once. With --report it writes the report.

Exit status: 0 every cluster is settled, 1 one is not, 3 the fleet is invalid.`,
		Args: oneFleet,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			d, h, rounds, err := a.lastRun(ctx, args[0])
			if err != nil {
				return err
			}
			key, err := a.key(args[0], d)
			if err != nil {
				return err
			}
			result, err := drive.Collect(ctx, h, rounds)
			if err != nil {
				return err
			}
			head := a.head(h, rounds, result, "")
			if a.report != "" {
				if err := a.writeReport(ctx, h, rounds, head, result, key); err != nil {
					return err
				}
			}
			if a.Output == "json" {
				if err := a.WriteJSON(map[string]any{"head": head, "leaves": result.Leaves}); err != nil {
					return err
				}
			} else {
				fmt.Fprintf(a.Text, "run %s of fleet %s, %s, begun %s\n", head.Run, head.Fleet, display.Count(len(rounds), "round"), head.Began.Local().Format("2006-01-02 15:04:05"))
				for _, w := range result.Waves {
					fmt.Fprintln(a.Text, view.WaveLine(drive.Snapshot{Wave: w}))
				}
				if err := a.showEnd(a.end(d, args[0], head, result.Leaves)); err != nil {
					return err
				}
			}
			if slices.ContainsFunc(result.Leaves, func(l ledger.Leaf) bool { return !l.Settled() }) {
				return &cli.Error{Code: cli.Failed}
			}
			return nil
		},
	}
	a.reportFlags(cmd)
	a.hubFlags(cmd)
	a.shownFlags(cmd)
	return cmd
}

func (a *commands) stopCommand() *cobra.Command {
	var now bool
	var reason string
	cmd := &cobra.Command{
		Use:   "stop FLEET",
		Short: "Touch no further cluster; those that run finish",
		Long: `Stop holds every cluster of the last run that has not begun; those that run finish.
With --now the pods are ended as well: each finishes its edit within ten minutes, and
the next run goes on where it was. ztplan fleet resume takes up what was held.

Exit status: 0 stopped.`,
		Args: oneFleet,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			_, h, rounds, err := a.lastRun(ctx, args[0])
			if err != nil {
				return err
			}
			run := rounds[len(rounds)-1]
			n, err := drive.Stop(ctx, h, run, reason, now)
			if err != nil {
				return err
			}
			how := "no further cluster is touched, and those that run finish"
			if now {
				how = "the pods are ended; each finishes its edit"
			}
			_, err = fmt.Fprintf(a.Text, "run %s of fleet %s is stopped in %s: %s\n", run.ID, run.Fleet, display.Count(n, "wave"), how)
			return err
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "end the pods that run as well")
	cmd.Flags().StringVar(&reason, "reason", "by ztplan fleet stop", "why, for the record")
	a.hubFlags(cmd)
	return cmd
}
