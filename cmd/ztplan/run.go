package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/command"
	"github.com/ztplan/ztplan/cmd/ztplan/planflags"
	"github.com/ztplan/ztplan/cmd/ztplan/planrun"
	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/hints"
	"github.com/ztplan/ztplan/steps/session"
	"github.com/ztplan/ztplan/steps/session/lease"
)

func (a *app) runCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "run PLAN",
		Short: "Converge, then prove",
		Long: `Run looks at every step of the plan, removes what differs, looks again, and then
runs the proofs. In a second run no step writes anything but what its proofs have
to change in order to measure; a killed run is continued by running it again.

With --expect it first looks at everything and refuses, before any write, if the
edits are no longer those that were reviewed in a dry run. Each step is compared
once more before its first write, and fails if its edits are others by then. A
Lease in the cluster keeps two runs of one plan from writing at the same time: it
is taken before the first write and frees itself within 30 s when its run is killed. What a run did
is in its journal, below $XDG_STATE_HOME/ztplan/runs, with --lab in the lab's
directory.

On a terminal, a run that would write to a cluster other than the lab looks first, says
which cluster it is and how much would be written, and asks. --yes and --expect go on
without a question, and so does every run without a terminal.

The last line says the result: "proved" if every proof of the plan held;
"converged, 2 proofs skipped" or "converged, no proofs in the plan" if nothing
failed and not everything was proved; "awaiting signature" if nothing failed and the
rest waits for what a person has to give, such as the signature of an offline root: its
step says what is to be done before the next run; "failed"; "interrupted". A dry run
proves nothing: its result is "differs (dry run)", or that nothing differs and how many
proofs were "not run (dry run)".

Exit status: 0 converged, and every proof that ran held, which with --skip, --only
or when need not be all of them; with --dry-run, nothing differs. 1 a step failed.
2 with --dry-run, there are differences; a step is awaiting what a person has to
give. 3 the plan or the selection is invalid and nothing was contacted. 130 interrupted: by a signal, or because standard
output or standard error cannot be written any more, as in "ztplan run … | head".

To demand a proof, use ztplan verify --require-proved.`,
		Args: planflags.OnePlan,
		RunE: func(cmd *cobra.Command, args []string) error {
			mode := run.Apply
			if dryRun {
				mode = run.DryRun
			}
			if dryRun && a.safety.expect != "" {
				return &cli.Error{Code: cli.Invalid, Text: "--expect and --dry-run contradict each other",
					Hint: "a dry run prints the digest; give it to a run without --dry-run"}
			}
			a.again = commandLine(cmd, args)
			return a.run(cmd.Context(), args[0], mode)
		},
	}
	a.PlanFlags(cmd)
	a.SelectionFlags(cmd)
	a.TargetFlags(cmd)
	a.YesFlag(cmd)
	a.shownFlags(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the differences; write nothing anywhere")
	cmd.Flags().BoolVar(&a.Keep, "keep", false, "with --lab: leave a lab that this run started up")
	a.safety.flags(cmd)
	a.reportFlags(cmd)
	cmd.Flags().StringVar(&a.Charts, "charts", "", "with --lab: serve the packaged charts in this `directory` instead of the lab's own")
	return cmd
}

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status PLAN",
		Short: "Has anything drifted?",
		Long: `Status looks at every step and shows what differs from the plan, and nothing else.
It writes nothing and runs no proof. A step after one that differs is looked at as
far as what it needs is known; what is found there may change. -v marks these steps,
and shows the steps that do not differ and what the proofs would do.

What a step made that was removed from the plan is told, by the journals of
earlier runs on this machine, and left alone.

Exit status: 0 nothing differs, 2 there are differences or a step is awaiting what a
person has to give, 1 a step could not be looked at, 3 the plan is invalid.`,
		Args: planflags.OnePlan,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.again = commandLine(cmd, args)
			a.drift = true
			return a.run(cmd.Context(), args[0], run.DryRun)
		},
	}
	a.PlanFlags(cmd)
	a.SelectionFlags(cmd)
	a.TargetFlags(cmd)
	a.shownFlags(cmd)
	return cmd
}

// shownFlags are the flags for how a run is shown.
func (a *app) shownFlags(cmd *cobra.Command) {
	a.ColorFlag(cmd)
	a.VerboseFlag(cmd, "show details: edits as they are applied, requests, transcripts")
}

// run loads the plan, finds the world it is about, and drives the engine.
func (a *app) run(ctx context.Context, file string, mode run.Mode) (err error) {
	p, chosen, err := a.Load(ctx, file)
	if err != nil {
		return err
	}
	ctx, stop := a.WatchOutput(ctx)
	defer stop()
	rep, err := a.newReporting(p, mode)
	if err != nil {
		return err
	}
	defer rep.close()
	env, done, err := a.Environment(ctx, p)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := done(); cerr != nil && err == nil {
			err = cerr
		}
	}()
	if err := a.begin(ctx, rep, p, mode, *env); err != nil {
		return err
	}
	opts := run.Options{
		Mode: mode, Parallel: a.Parallel, Env: *env, Kill: a.Kill,
		Secrets: p.Secrets(), Remarks: a.remarks(p, session.Of(env).Cluster), Hint: hints.For, Next: a.next,
	}
	list, finish := planrun.Nodes(p, chosen), func(*run.Result) error { return nil }
	if mode == run.Apply {
		if err := a.confirmed(ctx, list, opts); err != nil {
			return errors.Join(err, env.Session.Close())
		}
		if ctx, finish, err = a.guarded(ctx, p, list, &opts); err != nil {
			return errors.Join(err, env.Session.Close())
		}
	}
	sink, closeSink := a.sink(mode)
	traced := a.traced(ctx, mode)
	readers := readers{list: []func(engine.Event){traced.Event, rep.event, sink}, say: a.Say}
	opts.Sink = readers.Event
	res, rerr := run.Run(ctx, list, opts)
	closeSink()
	a.endTrace(traced, res)
	reported := engine.Try(func() error { return rep.write(ctx, res) })
	lost := finish(res)
	if cerr := env.Session.Close(); cerr != nil && a.Verbose {
		fmt.Fprintln(a.Stderr, "closing connections:", cerr)
	}
	if reported != nil {
		fmt.Fprintln(a.Stderr, "ztplan:", reported)
		if hint := engine.HintOf(reported); hint != "" {
			fmt.Fprintln(a.Stderr, "hint:", hint)
		}
	}
	if res == nil {
		return rerr
	}
	// The last that a run writes: an exit code without it is that of a crash.
	if err := a.GitHubResult(string(res.Summary.Result)); err != nil {
		return err
	}
	switch {
	case lost != nil:
		return lost
	case readers.err != nil:
		return &cli.Error{Code: cli.Failed}
	case res.Interrupted:
		interrupted := &cli.Error{Code: cli.Interrupted, Text: "interrupted"}
		if res.Summary.Failed == 0 { // else the block of the step says so
			interrupted.Hint = run.Again
		}
		return interrupted
	case rerr != nil, reported != nil, res.Summary.Result == engine.ResultFailed:
		return &cli.Error{Code: cli.Failed}
	case res.Summary.Result == engine.ResultDiffers, res.Summary.Result == engine.ResultAwaiting:
		return &cli.Error{Code: cli.Differs}
	}
	return nil
}

// drifting makes a text that of a status, if this is one.
func (a *app) drifting(t *ui.Text) *ui.Text {
	if a.drift {
		t.OnlyDrift()
	}
	return t
}

// sink returns the reader of the run's events that the flags ask for.
func (a *app) sink(mode run.Mode) (sink func(engine.Event), closeSink func()) {
	dry, none := mode == run.DryRun, func() {}
	inOrder := func(next func(engine.Event)) func(engine.Event) {
		if dry {
			return ui.InOrder(next)
		}
		return next
	}
	switch a.Output {
	case "json":
		records, people := ui.NewJSON(a.Stdout), a.drifting(ui.NewText(a.Screen, a.Style(a.Screen), a.Verbose, dry))
		return inOrder(func(e engine.Event) { records.Event(e); people.Event(e) }), none
	case "github":
		log := ui.NewGitHub(a.Stdout, a.Verbose, dry).Event
		if dry {
			summary := ui.NewSummary(func(text string) error { return cli.GitHubSummary([]byte(text)) })
			return inOrder(func(e engine.Event) {
				log(e)
				if err := summary.Event(e); err != nil {
					fmt.Fprintln(a.Stderr, "ztplan:", err)
				}
			}), none
		}
		return inOrder(log), none
	}
	if f, ok := a.Live(); ok {
		live := ui.NewLive(a.Stdout, a.Style(f), a.Verbose, dry, cli.TerminalSize(f))
		a.drifting(live.Text())
		before := a.Saying(live.Say)
		return live.Event, func() { a.Saying(before); _ = live.Close() }
	}
	return inOrder(a.drifting(ui.NewText(a.Stdout, a.Style(a.Stdout), a.Verbose, dry)).Event), none
}

// runMember runs the plan for one cluster of a fleet, in its pod.
func (a *app) runMember(ctx context.Context, of command.ClusterRun) error {
	a.Values, a.Kubeconfig, a.report, a.Mirrors = of.Values, of.Kubeconfig, of.Report, of.Mirrors
	a.safety.lockNamespace, a.safety.patient = lease.DefaultNamespace, true
	return a.run(ctx, of.File, of.Mode)
}
