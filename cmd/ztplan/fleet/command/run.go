package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/drive"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/view"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
)

func (a *commands) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run FLEET",
		Short: "Run the plan on every cluster, in waves",
		Long: `Run checks the fleet, the inventory and the plan with the variables of every
cluster, and then makes the objects of a run on the hub and lets the waves go. A
driver that was killed is continued by running it again; without one, the wave
that was let go goes on and the next one waits.

When more clusters of a wave fail than may, no further cluster is touched: those
that run finish, the others are held. ztplan fleet resume takes up what failed and
what was held.

On a terminal the run is shown in place: the waves, failures by their causes, what
cannot start and why, what runs, and how long it still takes. In a log there is a
line when the numbers have changed, at most every ten seconds. -o json writes a
line of JSON for each change of a wave, each cluster that ends, and the end; -o
github writes groups and annotations, and a summary for the page of the job.

Exit status: 0 every cluster converged, and every proof that ran held. 1 a cluster
failed or was held. 2 with mode: status, there are differences. 3 the fleet is
invalid: nothing was made. 130 interrupted: the wave that runs goes on.`,
		Args: oneFleet,
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd.Context(), args[0], false) },
	}
	a.runFlags(cmd)
	return cmd
}

func (a *commands) resumeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "resume FLEET",
		Short: "Run what the last run owes: clusters that failed or were held",
		Long: `Resume makes new Jobs for the clusters of the last run that are not settled: those
that failed, were held, or had not begun. Clusters that are settled are not
touched. The plan, its files and the fleet must be those of that run.

Exit status: as of ztplan fleet run.`,
		Args: oneFleet,
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd.Context(), args[0], true) },
	}
	a.runFlags(cmd)
	return cmd
}

// runFlags are the flags of run and resume.
func (a *commands) runFlags(cmd *cobra.Command) {
	a.reportFlags(cmd)
	a.YesFlag(cmd)
	a.hubFlags(cmd)
	a.shownFlags(cmd)
	a.VerboseFlag(cmd, "say when the lock or a connection could not be given back")
}

// run begins a run of a fleet, goes on with one, or resumes it for the clusters that are
// owed.
func (a *commands) run(ctx context.Context, file string, resume bool) error {
	f, err := a.load(ctx, file)
	if err != nil {
		return err
	}
	if f.Pull != nil {
		return pullOnly(f)
	}
	image, err := a.image(f)
	if err != nil {
		return err
	}
	first, err := objects.New(f, image, a.Now())
	if err != nil {
		return &cli.Error{Code: cli.Invalid, Text: err.Error(), Hint: engine.HintOf(err)}
	}
	key, err := a.key(file, f.Document)
	if err != nil {
		return err
	}
	h, err := a.hub(f.Hub)
	if err != nil {
		return err
	}
	if f.Mode != fleet.ModeStatus {
		question := fmt.Sprintf("This run writes to %s in %s, by the hub at %s.", display.Count(len(f.Clusters), "cluster"), display.Count(len(f.Waves), "wave"), h.Server)
		if a.Asks() {
			if err := a.Confirm(ctx, question); err != nil {
				return err
			}
		}
	}
	ctx, release, err := a.lock(ctx, h, fmt.Sprint(a.Now().UnixNano()), f.Metadata.Name, file, f.Hub)
	if err != nil {
		return err
	}
	defer release()
	rounds, err := a.round(ctx, h, f, first, resume)
	if err != nil {
		return err
	}
	return a.driveLast(ctx, h, f.Document, file, rounds, "run the same command again to go on; ztplan fleet stop "+file+" stops it", key)
}

// driveLast lets the waves of the last round go and reports the result of the fleet as
// an exit code. next is the hint after an interruption.
func (a *commands) driveLast(ctx context.Context, h *hub.Hub, of *fleet.Document, file string, rounds []record.Run, next string, key *attest.Key) error {
	run := rounds[len(rounds)-1]
	outcome, derr := a.driveRound(ctx, h, run)
	if ctx.Err() != nil {
		return &cli.Error{Code: cli.Interrupted, Text: "interrupted: the wave that runs goes on, and the next one waits",
			Hint: next}
	}
	if derr != nil {
		return derr
	}
	if err := h.DropAccess(ctx, run); err != nil {
		fmt.Fprintln(a.Stderr, "ztplan: the Secrets of the run are still on the hub:", err)
	}
	return a.finish(ctx, h, of, file, rounds, outcome, key)
}

// driveRound drives a round and shows how it goes.
func (a *commands) driveRound(ctx context.Context, h *hub.Hub, run record.Run) (drive.Outcome, error) {
	names, err := h.Names(ctx, run)
	if err != nil {
		return drive.Outcome{}, err
	}
	show, done := a.view(view.Fleet{Run: run, Names: names})
	defer done()
	d := &drive.Driver{Hub: h, Run: run, Progress: show, Now: a.Now}
	return d.Drive(ctx)
}

// round makes the objects of the round that is to be driven, and returns the rounds of
// its run.
func (a *commands) round(ctx context.Context, h *hub.Hub, f *fleet.Fleet, first *objects.Round, resume bool) ([]record.Run, error) {
	rounds, unmade, err := h.Rounds(ctx, f.Metadata.Name)
	if err != nil {
		return nil, err
	}
	for _, r := range unmade {
		fmt.Fprintf(a.people(), "removing %s: it was not made to its end, and nothing of it has begun\n", objects.Name(r))
		if err := h.Remove(ctx, r); err != nil {
			return nil, err
		}
	}
	result, over, err := a.lastRound(ctx, h, rounds, resume)
	if err != nil {
		return nil, err
	}
	same := len(rounds) > 0 && rounds[0].Digest == first.Record.Digest
	switch {
	case len(rounds) == 0 && resume:
		return nil, &cli.Error{Code: cli.Failed, Text: "there is nothing to resume: fleet " + f.Metadata.Name + " has no run on the hub", Hint: "ztplan fleet run " + f.File}
	case !over && !same:
		return nil, &cli.Error{Code: cli.Failed, Text: fmt.Sprintf("run %s of fleet %s is not over, and was begun with another plan, fleet or image", rounds[0].ID, f.Metadata.Name),
			Hint: "stop it with: ztplan fleet stop " + f.File}
	case !over:
		fmt.Fprintf(a.people(), "continuing run %s of fleet %s\n", rounds[0].ID, f.Metadata.Name)
		return rounds, nil
	case !resume:
		fmt.Fprintf(a.people(), "run %s of fleet %s: %s in %s\n", first.Record.ID, f.Metadata.Name, display.Count(len(f.Clusters), "cluster"), display.Count(len(first.Record.Waves), "wave"))
		return []record.Run{first.Record}, a.replace(ctx, h, rounds, first)
	case !same:
		return nil, &cli.Error{Code: cli.Failed, Text: fmt.Sprintf("run %s was made with another plan, fleet or image: its rest cannot be run with this one", rounds[0].ID),
			Hint: "ztplan fleet run " + f.File + " runs every cluster again"}
	}
	owed := result.Owed()
	var clusters []*fleet.Cluster
	for _, c := range f.Clusters {
		if owed[c.Name] {
			clusters = append(clusters, c)
			delete(owed, c.Name)
		}
	}
	if len(clusters) == 0 {
		return nil, &cli.Error{Code: cli.Failed, Text: fmt.Sprintf("there is nothing to resume: run %s owes no cluster that is in the inventory", rounds[0].ID)}
	}
	if err := sameServers(ctx, h, rounds[0], clusters); err != nil {
		return nil, err
	}
	last := rounds[len(rounds)-1]
	bundle, document, err := h.Bundle(ctx, rounds[0])
	if err != nil {
		return nil, err
	}
	next, err := objects.Resume(f, last, clusters, bundle, document)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(a.people(), "resuming run %s of fleet %s: %s of %d\n", last.ID, f.Metadata.Name, display.Count(len(clusters), "cluster"), len(result.Leaves))
	return append(rounds, next.Record), a.replace(ctx, h, rounds, next)
}

// sameServers refuses clusters that have another address than in the first round: the
// evidence of a run is about one set of clusters. A later round owes no others.
func sameServers(ctx context.Context, h *hub.Hub, first record.Run, clusters []*fleet.Cluster) error {
	servers, err := h.Servers(ctx, first)
	if err != nil {
		return err
	}
	var moved []string
	for _, c := range clusters {
		if server := servers[c.Name]; server != c.Server.URL {
			moved = append(moved, fmt.Sprintf("%s was %s and is %s", c.Name, server, c.Server.URL))
		}
	}
	if len(moved) == 0 {
		return nil
	}
	return &cli.Error{Code: cli.Failed, Text: "the inventory has other API servers than run " + first.ID + ": " + strings.Join(moved, "; "),
		Hint: "name these clusters otherwise, or begin a new run with ztplan fleet run"}
}

// lastRound reads the result of a run, and whether its last round is over. A resumption
// of a run that is being stopped waits for its pods: a cluster has one at a time.
func (a *commands) lastRound(ctx context.Context, h *hub.Hub, rounds []record.Run, resume bool) (result *drive.Result, over bool, err error) {
	if len(rounds) == 0 {
		return nil, true, nil
	}
	result, err = drive.Collect(ctx, h, rounds)
	if err != nil {
		return nil, false, err
	}
	over, stopped := result.Over()
	if !over && stopped && resume {
		last := rounds[len(rounds)-1]
		fmt.Fprintf(a.people(), "run %s of fleet %s is being stopped: waiting for its pods\n", last.ID, last.Fleet)
		if _, err := a.driveRound(ctx, h, last); err != nil {
			return nil, false, err
		}
		result, err = drive.Collect(ctx, h, rounds)
		over = true
	}
	return result, over, err
}

// replace makes a round in the place of the last one, whose waves that have not begun are
// stopped for good.
func (a *commands) replace(ctx context.Context, h *hub.Hub, rounds []record.Run, next *objects.Round) error {
	if len(rounds) > 0 {
		if _, err := drive.Stop(ctx, h, rounds[len(rounds)-1], "replaced by "+objects.Name(next.Record), false); err != nil {
			return err
		}
	}
	return h.Make(ctx, next)
}

// finish collects the results of the clusters, writes the report, and returns the exit
// code as an error.
func (a *commands) finish(ctx context.Context, h *hub.Hub, of *fleet.Document, file string, rounds []record.Run, outcome drive.Outcome, key *attest.Key) error {
	result, err := drive.Collect(ctx, h, rounds)
	if err != nil {
		return err
	}
	head := a.head(h, rounds, result, outcome.Stopped)
	if a.report != "" {
		if err := a.writeReport(ctx, h, rounds, head, result, key); err != nil {
			return err
		}
	}
	if err := a.showEnd(a.end(of, file, head, result.Leaves)); err != nil {
		return err
	}
	switch head.Result {
	case ledger.Proved, ledger.Converged:
		return nil
	case ledger.Differs, ledger.Awaiting:
		return &cli.Error{Code: cli.Differs}
	}
	return &cli.Error{Code: cli.Failed}
}

func (a *commands) head(h *hub.Hub, rounds []record.Run, result *drive.Result, stopped string) *ledger.Head {
	first := rounds[0]
	head := &ledger.Head{
		Schema: ledger.Schema, Fleet: first.Fleet, Run: first.ID, Rounds: len(rounds), Digest: first.Digest, Mode: first.Mode, Image: first.Image,
		Hub: h.Server, Began: first.Created, Stopped: stopped, Counts: ledger.Count(result.Leaves), Version: a.version,
	}
	for _, w := range first.Waves {
		head.Waves = append(head.Waves, ledger.Wave{Name: w.Name, Clusters: w.Clusters, Parallel: w.Parallel, Limit: w.Limit, Soak: w.Soak})
	}
	for _, w := range result.Waves {
		if w.Ended.After(head.Ended) {
			head.Ended = w.Ended
		}
	}
	head.Result = ledger.Result(head.Counts, stopped)
	return head
}

// writeReport writes the report's folder. Evidence that is there already is not fetched
// again.
func (a *commands) writeReport(ctx context.Context, h *hub.Hub, rounds []record.Run, head *ledger.Head, result *drive.Result, key *attest.Key) error {
	names := make([]string, 0, len(result.Tries))
	for name, t := range result.Tries {
		if t.Verdict.Evidence != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	keeper, err := h.Keeper(ctx, rounds[0])
	if err != nil {
		return err
	}
	err = ledger.Write(ctx, a.report, head, result.Leaves, names, func(ctx context.Context, name string) ([]byte, error) {
		return keeper.Evidence(ctx, result.Tries[name])
	}, key)
	if err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}
