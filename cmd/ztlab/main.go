// Command ztlab is the embedded lab of ztplan: a Kubernetes control plane,
// Vault, cert-manager and a gateway in one program, without a container
// engine, root rights, the internet or a fixed port.
//
// Started by a user it is a command line; started again by itself as "ztlab
// component NAME" it is one part of a lab.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// exitStatus is an error that has an exit code and no message.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

func run() int {
	if len(os.Args) > 2 && os.Args[1] == "component" {
		return runPart(os.Args[2], os.Args[3:])
	}
	err := newCommand().ExecuteContext(context.Background())
	var status exitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(os.Stderr, "ztlab: %v\n", err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return 1
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "ztlab",
		Short:         "A zero-trust certificate lab in one program",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	var lab labFlag
	root.PersistentFlags().StringVar(&lab.path, "lab-dir", "",
		"state directory of the lab (default $XDG_STATE_HOME/ztplan/lab or ~/.local/state/ztplan/lab)")
	root.AddCommand(
		upCommand(&lab), downCommand(&lab), statusCommand(&lab),
		restartCommand(&lab), killCommand(&lab), serveCommand(&lab), vaultCommand(), versionCommand(),
	)
	checkUsage(root)
	return root
}
