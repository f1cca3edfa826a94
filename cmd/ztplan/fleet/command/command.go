package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/hub"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/profiles"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/steps"
)

func (a *app) fleetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "One plan over many clusters, as Kubernetes Jobs on a hub",
		Long: `A fleet is a YAML document that names a plan and the clusters that get it. The
clusters run in waves, each a Kubernetes Indexed Job on a hub cluster: a pod runs
the plan for its cluster and keeps the evidence on the hub. A wave stops, without
ending what runs, when more clusters fail than may; the next one waits for it.`,
		Args: noUnknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.fleetValidateCommand(), a.fleetRenderCommand(), a.fleetRunCommand(), a.fleetResumeCommand(), a.fleetStatusCommand(), a.fleetStopCommand(), a.fleetVerifyCommand(),
		a.fleetMemberCommand(), a.fleetDriveCommand())
	return cmd
}

// oneFleet is the argument rule of commands that take a fleet.
func oneFleet(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return &exitError{code: exitInvalid, text: fmt.Sprintf("%s takes one fleet, not %d arguments", cmd.CommandPath(), len(args)),
		hint: "for example: " + cmd.CommandPath() + " fleet.yaml"}
}

// loadFleet reads and checks a fleet. Every problem is printed.
func (a *app) loadFleet(ctx context.Context, file string) (*fleet.Fleet, error) {
	if err := a.checkOutput(); err != nil {
		return nil, err
	}
	a.inputs = engine.NewInputs(ctx)
	f, err := fleet.Load(fleet.Input{
		File: file, Inputs: a.inputs,
		Profiles: func(d *fleet.Document) ([]fleet.Profile, error) {
			h, err := a.hub(d.Hub)
			if err != nil {
				return nil, err
			}
			return profiles.Read(ctx, h.Dynamic, d)
		},
		Plan: func(file string, values plan.Values) (*plan.Plan, error) {
			return plan.Load(plan.Input{File: file, Inputs: a.inputs, Kinds: steps.All(), Connections: steps.Connections(), Values: values})
		},
	})
	var problems *source.Problems
	switch {
	case errors.As(err, &problems):
		a.problems(err)
		return nil, &exitError{code: exitInvalid}
	case err != nil:
		return nil, &exitError{code: exitFailed, text: err.Error(), hint: engine.HintOf(err)}
	}
	if n := len(f.Skipped); n > 0 {
		fmt.Fprintf(a.stderr, "ztplan: %s left out as not healthy: %s\n", display.Count(n, "cluster"), source.Listed(f.Skipped))
	}
	return f, nil
}

// hub connects to the hub that a fleet names; flags come first.
func (a *app) hub(at fleet.Hub) (*hub.Hub, error) {
	return hub.Connect(cmp.Or(a.kubeconfig, at.Kubeconfig), cmp.Or(a.context, at.Context), at.Namespace, func(text string) { a.say("ztplan: " + text) })
}

// image returns the image that runs in the pods.
func (a *app) image(f *fleet.Fleet) (string, error) {
	if f.Image != "" {
		return f.Image, nil
	}
	v := versionString()
	if !strings.HasPrefix(v, "v") {
		return "", &exitError{code: exitInvalid, text: fmt.Sprintf("image is missing: this ztplan is %s, and has no released image", v),
			hint: "add image: ghcr.io/ztplan/ztplan:VERSION to the fleet"}
	}
	return "ghcr.io/ztplan/ztplan:" + v, nil
}

func (a *app) fleetFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.report, "report", "", "write fleet.json, leaves.jsonl, index.html and the evidence of every cluster into this `directory`")
	cmd.Flags().StringVar(&a.signKey, "sign-key", "", "with --report: sign the evidence of the fleet with the private `key` in this PEM file (PKCS#8, Ed25519 or ECDSA P-256)")
}
