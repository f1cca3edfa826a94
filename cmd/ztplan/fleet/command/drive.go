package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/member"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine"
)

// driveCommand is the command of the pod of --driver.
func (a *commands) driveCommand() *cobra.Command {
	var run, work, identity string
	cmd := &cobra.Command{
		Use:    "drive",
		Short:  "Let the waves of a run go, in a pod",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := a.drive(cmd.Context(), run, work, identity)
			var exit *cli.Error
			if err != nil && !errors.As(err, &exit) {
				// No result of the fleet: another driver goes on.
				return &cli.Error{Code: record.ExitAgain, Text: err.Error(), Hint: engine.HintOf(err)}
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&run, "run", "", "folder of the record of the run")
	f.StringVar(&work, "work", "", "folder for files")
	f.StringVar(&identity, "identity", "", "folder of the pod's ServiceAccount")
	return cmd
}

// drive lets the waves of the run go whose record is in a folder. The objects of the
// run are there already. It waits for a driver before it.
func (a *commands) drive(ctx context.Context, folder, work, identity string) error {
	namespace := os.Getenv("ZTPLAN_POD_NAMESPACE")
	if namespace == "" {
		return &cli.Error{Code: cli.Invalid, Text: "this command runs in a pod: its environment names none", Hint: "use: ztplan fleet run FLEET"}
	}
	data, err := engine.ReadFile(filepath.Join(folder, objects.KeyRun), engine.MaxInput)
	if err != nil {
		return err
	}
	own, err := record.Parse[record.Run](data)
	if err != nil {
		return err
	}
	a.Kubeconfig = filepath.Join(work, "kubeconfig")
	if err := member.InCluster(identity, a.Kubeconfig, os.Getenv); err != nil {
		return err
	}
	at := fleet.Hub{Namespace: namespace}
	h, err := a.hub(at)
	if err != nil {
		return err
	}
	a.patient = true
	ctx, release, err := a.lock(ctx, h, os.Getenv("ZTPLAN_POD_NAME"), own.Fleet, "fleet.yaml", at)
	if err != nil {
		return err
	}
	defer release()
	rounds, _, err := h.Rounds(ctx, own.Fleet)
	if err != nil {
		return err
	}
	if len(rounds) == 0 || rounds[0].ID != own.ID {
		return &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("run %s is not the newest run of fleet %s", own.ID, own.Fleet), Hint: "delete the Job of this driver"}
	}
	return a.driveLast(ctx, h, &fleet.Document{Hub: at, Plan: engine.File{Name: own.Plan}}, "fleet.yaml", rounds, "another driver goes on", nil)
}
