package controlplane

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

// The names of the parts, as in "ztlab component NAME".
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
)

// A Program is the child's side of one part. It runs until ctx ends or, where
// upstream's own signal handling is in charge, until SIGTERM.
type Program func(ctx context.Context, args []string) error

// Programs are the parts by name.
func Programs() map[string]Program {
	return map[string]Program{
		Etcd:              runEtcd,
		APIServer:         runAPIServer,
		ControllerManager: upstream(controllermanager.NewControllerManagerCommand),
		Scheduler:         upstream(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	}
}

// upstream runs a command that handles signals by itself and ends with the
// process: ctx ending is followed by SIGTERM, see process.TerminateWith.
func upstream(command func() *cobra.Command) Program {
	return func(_ context.Context, args []string) error {
		cmd := command()
		cmd.SetArgs(args)
		if code := cli.Run(cmd); code != 0 {
			return fmt.Errorf("%s: exit code %d; see its log", cmd.Name(), code)
		}
		return nil
	}
}

// HandlesSignals reports whether a part installs signal handlers of its own,
// which then must be the only ones.
func HandlesSignals(name string) bool { return name == ControllerManager || name == Scheduler }
