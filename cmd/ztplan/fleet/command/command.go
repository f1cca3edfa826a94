// Package command has the commands of fleets.
package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/profiles"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/run"
	"github.com/ztplan/ztplan/steps"
)

// A Program has the parts of ztplan that the commands of fleets need.
type Program struct {
	Version string
	// RunPlan runs a plan in the pod of a cluster. It waits for the plan's lock: the pod
	// before this one may have been killed. Its errors are those of ztplan run.
	RunPlan func(context.Context, ClusterRun) error
}

// A ClusterRun is a run of the plan for one cluster of a fleet.
type ClusterRun struct {
	File       string
	Mirrors    []string // as --mirror takes them
	Values     plan.Values
	Kubeconfig string
	Report     string // folder
	Mode       run.Mode
}

// commands are the commands of fleets and their flags.
type commands struct {
	*cli.Invocation
	version string
	runPlan func(context.Context, ClusterRun) error
	report  string // folder
	signKey string
	mirrors []string // of a pod that runs the plan
	patient bool     // wait for the driver that has the lock
}

// New returns the command of fleets, with those below it.
func New(of *cli.Invocation, p Program) *cobra.Command {
	a := &commands{Invocation: of, version: p.Version, runPlan: p.RunPlan}
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "One plan over many clusters, as Kubernetes Jobs on a hub",
		Long: `A fleet is a YAML document that names a plan and the clusters that get it. The
clusters run in waves, each a Kubernetes Indexed Job on a hub cluster: a pod runs
the plan for its cluster and keeps the evidence on the hub. A wave stops, without
ending what runs, when more clusters fail than may; the next one waits for it.`,
		Args: cli.NoUnknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cli.FlagsBefore(cmd)
	cmd.AddCommand(a.validateCommand(), a.renderCommand(), a.runCommand(), a.resumeCommand(), a.statusCommand(), a.stopCommand(), a.verifyCommand(),
		a.memberCommand(), a.driveCommand())
	return cmd
}

// hubFlags are the flags of commands that contact the hub.
func (a *commands) hubFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.Kubeconfig, "kubeconfig", "", "path of the hub's kubeconfig `file` (default that of the fleet, $KUBECONFIG, then ~/.kube/config)")
	cmd.Flags().StringVar(&a.Context, "context", "", "kubeconfig `context` of the hub (default that of the fleet, then the current one)")
	cmd.ValidArgsFunction = cli.CompleteFiles("yaml", "yml")
}

// shownFlags are the flags of commands that show a run.
func (a *commands) shownFlags(cmd *cobra.Command) {
	a.OutputFlag(cmd, "text", "json", "github")
	a.ColorFlag(cmd)
}

// oneFleet is the argument rule of commands that take a fleet.
var oneFleet = cli.OneArgument("fleet", "fleet.yaml")

// load reads and checks a fleet. Every problem is printed.
func (a *commands) load(ctx context.Context, file string) (*fleet.Fleet, error) {
	a.Inputs = engine.NewInputs(ctx)
	f, err := fleet.Load(fleet.Input{
		File: file, Inputs: a.Inputs,
		Profiles: func(d *fleet.Document) ([]fleet.Profile, error) {
			h, err := a.hub(d.Hub)
			if err != nil {
				return nil, err
			}
			a.Contacted = "the hub"
			return profiles.Read(ctx, h.Dynamic, d)
		},
		Plan: func(file string, values plan.Values) (*plan.Plan, error) {
			return plan.Load(plan.Input{File: file, Inputs: a.Inputs, Kinds: steps.All(), Connections: steps.Connections(), Values: values, Refused: rule.Refused})
		},
	})
	var problems *source.Problems
	switch {
	case errors.As(err, &problems):
		a.Problems(err)
		return nil, &cli.Error{Code: cli.Invalid}
	case err != nil:
		return nil, &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: engine.HintOf(err)}
	}
	if n := len(f.Skipped); n > 0 {
		fmt.Fprintf(a.Stderr, "ztplan: %s left out as not healthy: %s\n", display.Count(n, "cluster"), source.Listed(f.Skipped))
	}
	return f, nil
}

// hub connects to the hub that a fleet names; flags come first.
func (a *commands) hub(at fleet.Hub) (*hub.Hub, error) {
	return hub.Connect(cmp.Or(a.Kubeconfig, at.Kubeconfig), cmp.Or(a.Context, at.Context), at.Namespace, func(text string) { a.Say("ztplan: " + text) })
}

// image returns the image that runs in the pods.
func (a *commands) image(f *fleet.Fleet) (string, error) {
	if f.Image != "" {
		return f.Image, nil
	}
	v := a.version
	if !strings.HasPrefix(v, "v") {
		return "", &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("image is missing: this ztplan is %s, and has no released image", v),
			Hint: "add image: ghcr.io/ztplan/ztplan:VERSION to the fleet"}
	}
	return "ghcr.io/ztplan/ztplan:" + v, nil
}

func (a *commands) reportFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.report, "report", "", "write fleet.json, leaves.jsonl, index.html and the evidence of every cluster into this `directory`")
	cmd.Flags().StringVar(&a.signKey, "sign-key", "", "with --report: sign the evidence of the fleet with the private `key` in this PEM file (PKCS#8, Ed25519 or ECDSA P-256)")
}
