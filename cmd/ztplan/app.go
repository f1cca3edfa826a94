package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/command"
	"github.com/ztplan/ztplan/cmd/ztplan/ztlab"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
	"github.com/ztplan/ztplan/steps/session"
)

// app is one invocation and the flags of commands that take a plan.
type app struct {
	cli.Invocation

	lab        bool
	labDir     string
	charts     string
	keep       bool
	vars       []string
	varFiles   []string
	mirrors    []string
	only, skip []string
	parallel   int
	drift      bool // show the drift and nothing else
	report     string
	signKey    string
	met        *ztlab.Status // the lab that the run is on, if it is one
	again      string        // this command once more, for a shell; empty if there is none for people

	values plan.Values // of a fleet, for the cluster of this pod
	safety safety      // of a run that writes
}

func (a *app) rootCommand() *cobra.Command {
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
	root.SuggestionsMinimumDistance = 2
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetIn(a.Stdin)
	f := root.PersistentFlags()
	cli.ChoiceVar(root, f, &a.Output, "output", "o", "text", []string{"text", "json", "github"}, "form of the output")
	f.BoolVar(&a.NoColor, "no-color", false, "no colour and no live view (also NO_COLOR)")
	f.BoolVarP(&a.Verbose, "verbose", "v", false, "show details: edits as they are applied, requests, transcripts")
	// It stands before the command as well: "ztplan --lab run PLAN".
	root.Flags().Bool("lab", false, "use the embedded lab: for the commands that have this flag")
	root.Flag("lab").Hidden = true
	root.Version = versionString()
	root.SetVersionTemplate(versionLine() + "\n")
	root.AddCommand(
		a.initCommand(), a.runCommand(), a.statusCommand(), a.verifyCommand(), a.reportCommand(), a.validateCommand(), a.lintCommand(), a.graphCommand(),
		a.runsCommand(), a.outputCommand(), a.diffCommand(), a.doctorCommand(), a.rbacCommand(), a.explainCommand(), a.schemaCommand(), a.labCommand(), command.New(&a.Invocation, command.Program{Version: versionString(), RunPlan: a.runMember}), a.versionCommand(),
	)
	root.SetFlagErrorFunc(cli.FlagError)
	root.SetHelpCommand(helpCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	cli.StrictArguments(root)
	return root
}

// onePlan is the argument rule of commands that take a plan.
var onePlan = cli.OneArgument("plan", "plans/lab.yaml")

// otherWords are commands of other tools, and what does the same here.
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

// helpCommand is help, which refuses what is no command.
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

// read reads and checks the plan. Nothing is contacted.
func (a *app) read(ctx context.Context, file string) (*plan.Plan, error) {
	return a.readBy(ctx, file, plan.Load)
}

// readBy is read with plan.Load or plan.Draft.
func (a *app) readBy(ctx context.Context, file string, how func(plan.Input) (*plan.Plan, error)) (*plan.Plan, error) {
	vars, err := a.variables()
	if err != nil {
		return nil, err
	}
	a.Inputs = engine.NewInputs(ctx)
	return how(plan.Input{File: file, Inputs: a.Inputs, Kinds: steps.All(), Connections: steps.Connections(), Vars: vars, VarFiles: a.varFiles, Values: a.values, Env: os.LookupEnv})
}

// load is read with the selection of steps. It prints every problem.
func (a *app) load(ctx context.Context, file string) (*plan.Plan, *plan.Selection, error) {
	p, err := a.read(ctx, file)
	var chosen *plan.Selection
	if err == nil {
		chosen, err = p.Select(a.only, a.skip)
	}
	switch {
	case errors.As(err, new(*cli.Error)):
		return nil, nil, err
	case ctx.Err() != nil:
		return nil, nil, &cli.Error{Code: cli.Interrupted, Text: "interrupted while reading the plan"}
	case err != nil:
		a.Problems(err)
		return nil, nil, &cli.Error{Code: cli.Invalid}
	}
	return p, chosen, nil
}

// variables returns the values that --var gives.
func (a *app) variables() (map[string]string, error) {
	vars := make(map[string]string, len(a.vars))
	for _, v := range a.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return nil, &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("--var %s: there is no value", v), Hint: "write --var name=value"}
		}
		vars[name] = value
	}
	return vars, nil
}

func (a *app) mirrorList() ([]session.Mirror, error) {
	var out []session.Mirror
	for _, m := range a.mirrors {
		from, to, ok := strings.Cut(m, "=")
		if !ok || from == "" || to == "" {
			return nil, &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("--mirror %s: there are not two addresses", m), Hint: "write --mirror https://charts.example.org=http://127.0.0.1:8080"}
		}
		out = append(out, session.Mirror{From: from, To: to})
	}
	return out, nil
}

// cacheDir is where charts are kept, private to the user.
func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory: %w; set XDG_CACHE_HOME or HOME", err)
	}
	return filepath.Join(dir, "ztplan"), nil
}
