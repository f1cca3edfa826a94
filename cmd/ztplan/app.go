package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/cmd/ztplan/ztlab"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
	"github.com/ztplan/ztplan/steps/session"
)

// app is one invocation: its streams and the flags that hold everywhere.
type app struct {
	stdin  io.Reader
	stdout io.Writer // as it is: for renderers that make their text safe
	text   io.Writer // stdout for plain text
	stderr io.Writer // for plain text
	screen io.Writer // stderr as it is

	kill  context.Context // ends with the second interrupt
	now   func() time.Time
	voice atomic.Pointer[func(string)]

	lab        bool
	labDir     string
	charts     string
	keep       bool
	kubeconfig string
	context    string
	vars       []string
	varFiles   []string
	mirrors    []string
	only, skip []string
	parallel   int
	output     string
	report     string
	signKey    string
	met        *ztlab.Status // the lab that the run is on, if it is one
	noColor    bool
	verbose    bool

	inputs *engine.Inputs // the files that this invocation reads
	values plan.Values    // of a fleet, for the cluster of this pod
	safety safety         // of a run that writes
}

// say shows a line beside the events of a run: on standard error, or above the
// live view while there is one. It may be called from any goroutine.
func (a *app) say(line string) { (*a.voice.Load())(line) }

func (a *app) saying(how func(string)) { a.voice.Store(&how) }

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
		Args:          noUnknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetIn(a.stdin)
	f := root.PersistentFlags()
	f.BoolVar(&a.lab, "lab", false, "use the embedded lab: the one that is up, or one started for this command")
	f.StringVar(&a.labDir, "lab-dir", "", "state directory of the lab; separates labs (default ~/.local/state/ztplan/lab)")
	f.StringVar(&a.kubeconfig, "kubeconfig", "", "path of the kubeconfig (default $KUBECONFIG, then ~/.kube/config)")
	f.StringVar(&a.context, "context", "", "kubeconfig context (default the current one)")
	f.StringArrayVar(&a.vars, "var", nil, "set a plan variable, `name=value`; repeatable")
	f.StringArrayVar(&a.varFiles, "var-file", nil, "read plan variables from a YAML or JSON `file`; repeatable")
	f.StringArrayVar(&a.mirrors, "mirror", nil, "fetch what is below one address from another, `URL=URL`; repeatable")
	f.StringSliceVar(&a.only, "only", nil, "run only these step `ids` and what they need")
	f.StringSliceVar(&a.skip, "skip", nil, "leave out these step `ids`")
	f.IntVar(&a.parallel, "parallel", 10, "steps that run at once")
	f.StringVarP(&a.output, "output", "o", "text", "text, json or github")
	f.BoolVar(&a.noColor, "no-color", false, "no colour and no live view (also NO_COLOR)")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "show details: edits as they are applied, requests, transcripts")
	root.AddCommand(
		a.runCommand(), a.statusCommand(), a.verifyCommand(), a.reportCommand(), a.validateCommand(), a.lintCommand(), a.graphCommand(),
		a.explainCommand(), a.schemaCommand(), a.labCommand(), a.fleetCommand(), a.versionCommand(),
	)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &exitError{code: exitInvalid, text: err.Error(), hint: "see " + cmd.CommandPath() + " --help"}
	})
	return root
}

func noUnknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := &exitError{code: exitInvalid, text: fmt.Sprintf("unknown command %q", args[0]), hint: "see ztplan --help"}
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		e.hint = fmt.Sprintf("did you mean %q?", "ztplan "+s[0])
	}
	return e
}

// onePlan is the argument rule of commands that take a plan.
var onePlan = oneArgument("plan", "plans/lab.yaml")

// oneArgument returns the rule of commands that take one argument.
func oneArgument(name, example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			return nil
		}
		return &exitError{code: exitInvalid, text: fmt.Sprintf("%s takes one %s, not %d arguments", cmd.CommandPath(), name, len(args)),
			hint: "for example: " + cmd.CommandPath() + " " + example}
	}
}

// load reads and checks the plan. Every problem is printed; nothing is
// contacted.
func (a *app) load(ctx context.Context, file string) (*plan.Plan, *plan.Selection, error) {
	if err := a.checkOutput(); err != nil {
		return nil, nil, err
	}
	vars := make(map[string]string, len(a.vars))
	for _, v := range a.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return nil, nil, &exitError{code: exitInvalid, text: fmt.Sprintf("--var %s: there is no value", v), hint: "write --var name=value"}
		}
		vars[name] = value
	}
	a.inputs = engine.NewInputs(ctx)
	p, err := plan.Load(plan.Input{File: file, Inputs: a.inputs, Kinds: steps.All(), Connections: steps.Connections(), Vars: vars, VarFiles: a.varFiles, Values: a.values, Env: os.LookupEnv})
	var chosen *plan.Selection
	if err == nil {
		chosen, err = p.Select(a.only, a.skip)
	}
	if ctx.Err() != nil {
		return nil, nil, &exitError{code: exitInterrupted, text: "interrupted while reading the plan"}
	}
	if err != nil {
		a.problems(err)
		return nil, nil, &exitError{code: exitInvalid}
	}
	return p, chosen, nil
}

// checkOutput refuses an --output that there is not.
func (a *app) checkOutput() error {
	switch a.output {
	case "text", "json", "github":
		return nil
	}
	return &exitError{code: exitInvalid, text: fmt.Sprintf("--output %s: there is text, json and github", a.output)}
}

func (a *app) mirrorList() ([]session.Mirror, error) {
	var out []session.Mirror
	for _, m := range a.mirrors {
		from, to, ok := strings.Cut(m, "=")
		if !ok || from == "" || to == "" {
			return nil, &exitError{code: exitInvalid, text: fmt.Sprintf("--mirror %s: there are not two addresses", m), hint: "write --mirror https://charts.example.org=http://127.0.0.1:8080"}
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

// terminal returns the file behind w if it is a terminal.
func terminal(w io.Writer) (*os.File, bool) {
	if o, ok := w.(*output); ok {
		w = o.Writer
	}
	f, ok := w.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

func (a *app) style(w io.Writer) ui.Style {
	_, tty := terminal(w)
	return ui.NewStyle(tty, a.noColor)
}
