package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
		Example: `  ztplan run plans/lab.yaml --lab        the whole set-up on the embedded lab
  ztplan run plans/lab.yaml --dry-run    what would change on the current cluster
  ztplan status plans/lab.yaml           has anything drifted?
  ztplan explain pkiRoot                 the reference of a kind`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cli.NoUnknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetIn(a.Stdin)
	f := root.PersistentFlags()
	f.BoolVar(&a.lab, "lab", false, "use the embedded lab: the one that is up, or one started for this command")
	f.StringVar(&a.labDir, "lab-dir", "", "state directory of the lab; separates labs (default ~/.local/state/ztplan/lab)")
	f.StringVar(&a.Kubeconfig, "kubeconfig", "", "path of the kubeconfig (default $KUBECONFIG, then ~/.kube/config)")
	f.StringVar(&a.Context, "context", "", "kubeconfig context (default the current one)")
	f.StringArrayVar(&a.vars, "var", nil, "set a plan variable, `name=value`; repeatable")
	f.StringArrayVar(&a.varFiles, "var-file", nil, "read plan variables from a YAML or JSON `file`; repeatable")
	f.StringArrayVar(&a.mirrors, "mirror", nil, "fetch what is below one address from another, `URL=URL`; repeatable")
	f.StringSliceVar(&a.only, "only", nil, "run only these step `ids` and what they need")
	f.StringSliceVar(&a.skip, "skip", nil, "leave out these step `ids`")
	f.IntVar(&a.parallel, "parallel", 10, "steps that run at once")
	f.StringVarP(&a.Output, "output", "o", "text", "text, json or github")
	f.BoolVar(&a.NoColor, "no-color", false, "no colour and no live view (also NO_COLOR)")
	f.BoolVarP(&a.Verbose, "verbose", "v", false, "show details: edits as they are applied, requests, transcripts")
	root.AddCommand(
		a.runCommand(), a.statusCommand(), a.verifyCommand(), a.reportCommand(), a.validateCommand(), a.lintCommand(), a.graphCommand(),
		a.runsCommand(), a.outputCommand(), a.diffCommand(), a.rbacCommand(), a.explainCommand(), a.schemaCommand(), a.labCommand(), command.New(&a.Invocation, command.Program{Version: versionString(), RunPlan: a.runMember}), a.versionCommand(),
	)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &cli.Error{Code: cli.Invalid, Text: err.Error(), Hint: "see " + cmd.CommandPath() + " --help"}
	})
	return root
}

// onePlan is the argument rule of commands that take a plan.
var onePlan = cli.OneArgument("plan", "plans/lab.yaml")

// load reads and checks the plan. Every problem is printed; nothing is
// contacted.
func (a *app) load(ctx context.Context, file string) (*plan.Plan, *plan.Selection, error) {
	if err := a.CheckOutput(); err != nil {
		return nil, nil, err
	}
	vars := make(map[string]string, len(a.vars))
	for _, v := range a.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return nil, nil, &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("--var %s: there is no value", v), Hint: "write --var name=value"}
		}
		vars[name] = value
	}
	a.Inputs = engine.NewInputs(ctx)
	p, err := plan.Load(plan.Input{File: file, Inputs: a.Inputs, Kinds: steps.All(), Connections: steps.Connections(), Vars: vars, VarFiles: a.varFiles, Values: a.values, Env: os.LookupEnv})
	var chosen *plan.Selection
	if err == nil {
		chosen, err = p.Select(a.only, a.skip)
	}
	if ctx.Err() != nil {
		return nil, nil, &cli.Error{Code: cli.Interrupted, Text: "interrupted while reading the plan"}
	}
	if err != nil {
		a.Problems(err)
		return nil, nil, &cli.Error{Code: cli.Invalid}
	}
	return p, chosen, nil
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
