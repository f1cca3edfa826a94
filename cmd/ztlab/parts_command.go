package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// partNames is part of the help of restart and kill.
const partNames = `NAME is a part of the control plane (apiserver, etcd, controller-manager,
scheduler) or of what runs in pods (vault, cert-manager, webhook, cainjector,
gateway, ...); "ztlab status" lists them.`

func restartCommand(lab *labFlag) *cobra.Command {
	return &cobra.Command{
		Use:   "restart NAME",
		Short: "Stop a part in order and start it again",
		Long: `Stop a part in order and start it again, as a restart of its container does:
Vault comes back sealed.

` + partNames,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, _, err := lab.client()
			if err != nil {
				return err
			}
			return client.Restart(cmd.Context(), args[0])
		},
	}
}

func killCommand(lab *labFlag) *cobra.Command {
	var down time.Duration
	cmd := &cobra.Command{
		Use:   "kill NAME",
		Short: "End a part with SIGKILL; it is started again as a kubelet does",
		Long: `End a part with SIGKILL. It is started again, as a kubelet starts a container
again; --for keeps a part of the control plane down for a while.

` + partNames,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if down < 0 {
				return usageError{fmt.Errorf("--for %v: a time cannot be negative", down)}
			}
			client, _, err := lab.client()
			if err != nil {
				return err
			}
			return client.Kill(cmd.Context(), args[0], down)
		},
	}
	cmd.Flags().DurationVar(&down, "for", 0, "keep a part of the control plane down for this long")
	return cmd
}
