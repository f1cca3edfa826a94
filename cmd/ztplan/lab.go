package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/release"
	"github.com/ztplan/ztplan/cmd/ztplan/ztlab"
	"github.com/ztplan/ztplan/engine/plan/source"
)

func (a *app) labCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lab up|down|status|restart|kill",
		Short: "Drive the embedded lab",
		Long: `Lab hands its arguments to ztlab, the embedded lab: a Kubernetes control plane,
Vault, cert-manager and a gateway in one program, without a container engine,
root rights or the internet.`,
		Example: `  ztplan lab up                          start a lab, print its kubeconfig
  ztplan lab status --output json        what runs, where
  ztplan lab restart vault               it comes back sealed
  ztplan lab kill gateway                SIGKILL
  ztplan lab down`,
		DisableFlagParsing: true,
		ValidArgsFunction:  a.completeLab,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "-h" || args[0] == "--help" {
				return cmd.Help()
			}
			if !slices.Contains(labCommands, args[0]) {
				return &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("unknown command %q of the lab", args[0]), Hint: "there is " + source.Listed(labCommands)}
			}
			path, err := ztlab.Find()
			if err != nil {
				return &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: release.LabHint(a.Version, runtime.GOOS, runtime.GOARCH)}
			}
			lab := exec.CommandContext(cmd.Context(), path, args...)
			lab.Stdin, lab.Stdout, lab.Stderr = a.Stdin, a.Stdout, a.Screen
			lab.Cancel = func() error { return lab.Process.Signal(os.Interrupt) }
			err = lab.Run()
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() > 0 {
				return &cli.Error{Code: exit.ExitCode()}
			}
			return err
		},
	}
}

// labCommands are the commands of ztlab that ztplan lab hands on.
var labCommands = []string{"up", "down", "status", "restart", "kill"}

// completeLab completes the commands of the lab, and the parts of the one that is up.
func (a *app) completeLab(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
	switch {
	case len(args) == 0:
		return labCommands, cobra.ShellCompDirectiveNoFileComp
	case len(args) > 1 || args[0] != "restart" && args[0] != "kill":
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	_, lab, err := a.FindLab(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, c := range lab.Components {
		names = append(names, c.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
