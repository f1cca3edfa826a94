package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/audit"
	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/doctor"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/command"
	"github.com/ztplan/ztplan/cmd/ztplan/graph"
	"github.com/ztplan/ztplan/cmd/ztplan/history"
	check "github.com/ztplan/ztplan/cmd/ztplan/lint/command"
	"github.com/ztplan/ztplan/cmd/ztplan/output"
	"github.com/ztplan/ztplan/cmd/ztplan/planflags"
	"github.com/ztplan/ztplan/cmd/ztplan/rbac"
	"github.com/ztplan/ztplan/cmd/ztplan/reference"
	"github.com/ztplan/ztplan/cmd/ztplan/templates"
)

// app is one invocation: the flags of commands that take a plan, and those of a run.
type app struct {
	planflags.Flags

	drift   bool // show the drift and nothing else
	report  string
	signKey string
	again   string // this command once more, for a shell; empty if there is none for people

	safety safety // of a run that writes
}

func (a *app) rootCommand() *cobra.Command {
	a.Version, a.Detach = versionString(), detach
	root := &cobra.Command{
		Use:   "ztplan",
		Short: "Run a zero-trust certificate set-up as one plan, and prove that it works",
		Long: `ztplan runs a zero-trust certificate set-up as one declarative plan and proves
that it works. A plan is a YAML file of typed steps. ztplan works out the order,
compares every step with the world, shows the difference, removes it, and checks
again.`,
		Example: `  ztplan init                            a plan to begin with
  ztplan run plans/lab.yaml --lab        the whole set-up on the embedded lab
  ztplan run plans/lab.yaml --dry-run    what would change on the current cluster
  ztplan status plans/lab.yaml           has anything drifted?
  ztplan explain pkiRoot                 the reference of a kind`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetIn(a.Stdin)
	cli.FlagsBefore(root)
	root.Version = a.Version
	root.SetVersionTemplate(a.versionLine() + "\n")
	root.AddCommand(
		templates.Command(&a.Flags), a.runCommand(), a.statusCommand(), audit.VerifyCommand(&a.Invocation), audit.ReportCommand(&a.Invocation),
		check.ValidateCommand(&a.Flags), check.LintCommand(&a.Flags), graph.Command(&a.Flags), history.Command(&a.Flags), output.Command(&a.Flags),
		audit.DiffCommand(&a.Invocation), doctor.Command(&a.Flags), rbac.Command(&a.Flags), reference.ExplainCommand(&a.Invocation), reference.SchemaCommand(&a.Invocation),
		a.labCommand(), command.New(&a.Invocation, command.Program{Version: a.Version, RunPlan: a.runMember}), a.versionCommand(),
	)
	root.SetFlagErrorFunc(cli.FlagError)
	root.SetHelpCommand(helpCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	cli.StrictArguments(root)
	return root
}

// otherWords maps commands of other tools to those of ztplan.
var otherWords = map[string]string{
	"plan": "ztplan run PLAN --dry-run", "preview": "ztplan run PLAN --dry-run", "apply": "ztplan run PLAN", "up": "ztplan run PLAN", "sync": "ztplan run PLAN",
	"install": "ztplan run PLAN", "upgrade": "ztplan run PLAN", "test": "ztplan run PLAN", "check": "ztplan status PLAN", "drift": "ztplan status PLAN",
	"show": "ztplan runs show ID", "history": "ztplan runs", "state": "ztplan runs", "logs": "ztplan runs show ID", "template": "ztplan run PLAN --dry-run",
	"fmt": "ztplan validate PLAN",
}

// removals are commands of other tools that nothing does here.
var removals = []string{"destroy", "delete", "down", "uninstall", "rollback"}

// unknownCommand is the argument rule of ztplan itself.
func unknownCommand(cmd *cobra.Command, args []string) error {
	err := cli.NoUnknownCommand(cmd, args)
	var e *cli.Error
	switch {
	case !errors.As(err, &e):
	case otherWords[args[0]] != "":
		e.Hint = "here that is: " + otherWords[args[0]]
	case slices.Contains(removals, args[0]):
		e.Hint = "ztplan deletes nothing that it made: ztplan runs show ID lists it; a lab goes with: ztplan lab down"
	}
	return err
}

// helpCommand is help, which refuses unknown commands.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			of, _, err := cmd.Root().Find(args)
			var names []string
			if err == nil {
				for _, c := range of.Commands() {
					if c.IsAvailableCommand() {
						names = append(names, c.Name())
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err == nil {
				err = cli.NoUnknownCommand(of, rest)
			}
			if err != nil {
				return err
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		},
	}
}
