// Package output has the command that prints one output of a step.
package output

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/history"
	"github.com/ztplan/ztplan/cmd/ztplan/planflags"
	"github.com/ztplan/ztplan/cmd/ztplan/planrun"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/journal"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps/hints"
	"github.com/ztplan/ztplan/steps/session"
)

// A command is the command with its flags.
type command struct{ *planflags.Flags }

// Command returns the command.
func Command(of *planflags.Flags) *cobra.Command {
	a := &command{of}
	cmd := &cobra.Command{
		Use:   "output STEP.NAME [PLAN]",
		Short: "Print an output of a step, such as the root certificate",
		Long: `Output prints one output of a step, as other steps refer to it: root.certificate is
${steps.root.certificate}. Without PLAN it is that of the last run on this machine, by
its journal; with --lab, of the last run on the lab.

The value is that of now: output looks at the step and at those that it needs, as a dry
run does, and writes nothing. Nothing is kept from earlier runs. Outputs of proofs are
known only while they run: they are in the evidence.

Secrets are never printed: they are in the sinks that the plan names.

Exit status: 0 the output is printed, 1 it is not known or a step could not be looked
at, 3 the plan is invalid or has no such output, or it is a secret: nothing was
contacted.`,
		Example: `  ztplan output root.certificate > root.pem
  curl --cacert <(ztplan output root.certificate) https://hello.example.local`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 || len(args) == 2 {
				return nil
			}
			return &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("%s takes an output and a plan, not %d arguments", cmd.CommandPath(), len(args)),
				Hint: "for example: " + cmd.CommandPath() + " root.certificate plans/lab.yaml"}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.print(cmd.Context(), args[0], args[1:])
		},
	}
	cmd.ValidArgsFunction = a.complete
	a.PlanFlags(cmd)
	a.TargetFlags(cmd)
	return cmd
}

// print prints an output of a step of the plan, or of the last run's.
func (a *command) print(ctx context.Context, name string, file []string) error {
	var last *journal.Report
	if len(file) == 0 {
		var err error
		if last, err = a.lastRun(ctx); err != nil {
			return err
		}
		file = []string{last.Run.File}
		fmt.Fprintf(a.Stderr, "plan: %s, of the last run, %s\n", last.Run.File, last.Run.Time.Local().Format(time.DateTime))
	}
	p, _, err := a.Load(ctx, file[0])
	if err != nil {
		return err
	}
	out, err := p.Output(name)
	switch {
	case err != nil:
		return &cli.Error{Code: cli.Invalid, Text: err.Error(), Hint: engine.HintOf(err)}
	case out.Secret:
		return &cli.Error{Code: cli.Invalid, Text: name + " is a secret: secrets are never printed", Hint: "it is in the sink that the plan names at " + out.Step.Position.String()}
	case out.Step.Kind.Proof:
		return &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("step %s (%s) is a proof: its outputs are known only while it runs", out.Step.ID, out.Step.Kind.Name),
			Hint: "see the evidence of a run: ztplan run " + file[0] + " --report DIR"}
	}
	value, err := a.lookUp(ctx, p, out, last)
	if err != nil {
		return err
	}
	text, ok := value.(string)
	if a.Output == "json" || !ok {
		return a.WriteJSON(value)
	}
	_, err = fmt.Fprintln(a.Text, strings.TrimSuffix(text, "\n"))
	return err
}

// lastRun returns the newest run whose plan is still there.
func (a *command) lastRun(ctx context.Context) (*journal.Report, error) {
	reports, err := a.History(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(reports, func(r *journal.Report) bool { _, err := os.Stat(r.Run.File); return err == nil })
	if i < 0 {
		return nil, &cli.Error{Code: cli.Invalid, Text: "there is no run on this machine whose plan is still there", Hint: "name the plan: ztplan output STEP.NAME PLAN; with --lab, if it ran on the lab"}
	}
	return reports[i], nil
}

// lookUp looks at the step of an output and at those that it needs, and returns the
// output as plain data.
func (a *command) lookUp(ctx context.Context, p *plan.Plan, out *plan.Output, last *journal.Report) (value any, err error) {
	chosen, err := p.Select([]string{out.Step.ID}, nil)
	if err != nil {
		return nil, err
	}
	if a.Lab {
		if _, lab, err := a.FindLab(ctx); err != nil {
			return nil, err
		} else if !lab.Ready {
			return nil, &cli.Error{Code: cli.Failed, Text: "the lab is not up", Hint: "a lab that a run started ends with it, unless with --keep"}
		}
	}
	env, done, err := a.Environment(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, env.Session.Close(), done()) }()
	if where, werr := a.Journals(p, session.Of(env).Cluster); werr == nil && last != nil {
		if text := history.Elsewhere(where, last); text != "" {
			fmt.Fprintln(a.Stderr, "ztplan: warning: "+text)
		}
	}
	res, rerr := run.Run(ctx, planrun.Nodes(p, chosen), run.Options{Mode: run.DryRun, Parallel: a.Parallel, Env: *env, Kill: a.Kill, Secrets: p.Secrets(), Hint: hints.For})
	switch {
	case res == nil:
		return nil, rerr
	case res.Interrupted:
		return nil, &cli.Error{Code: cli.Interrupted, Text: "interrupted while looking; nothing was written"}
	case rerr != nil:
		return nil, &cli.Error{Code: cli.Failed, Text: rerr.Error(), Hint: engine.HintOf(rerr)}
	}
	step := res.Steps[out.Step.Index]
	value, err = out.Value(step.Outputs)
	if err != nil {
		return nil, &cli.Error{Code: cli.Failed, Text: fmt.Sprintf("%v: step %s is %s", err, step.ID, unknownBecause(step.State)), Hint: "see what is to be done with: ztplan status " + filepath.Clean(p.File)}
	}
	if step.State == run.Pending || step.State == run.Awaiting {
		fmt.Fprintf(a.Stderr, "ztplan: step %s differs from the plan: a run may change this\n", step.ID)
	}
	return res.Redactor.Value(value), nil
}

// unknownBecause explains a state in which a step has no outputs.
func unknownBecause(s run.State) string {
	switch s {
	case run.Pending:
		return "not done yet"
	case run.Awaiting:
		return "awaiting what a person has to give"
	case run.After:
		return "after others that are not done yet"
	}
	return string(s)
}

// complete completes an output that can be printed, of the last run's plan, and then
// the file of a plan.
func (a *command) complete(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
	case 1:
		return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
	default:
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	last, err := a.lastRun(cmd.Context())
	var p *plan.Plan
	if err == nil {
		p, err = a.Read(cmd.Context(), last.Run.File)
	}
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, s := range p.Steps {
		for _, name := range s.OutputNames() {
			if out, err := p.Output(s.ID + "." + name); err == nil && !out.Secret && !s.Kind.Proof {
				names = append(names, s.ID+"."+name)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
