package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
	"github.com/ztplan/ztplan/cmd/ztlab/supervisor"
)

func downCommand(lab *labFlag) *cobra.Command {
	var purge bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the lab",
		Long: `Stop the lab and wait until all of it is gone. What it knows stays in its
directory for the next start, unless --purge is given. It is no error when no
lab is up.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, dir, err := lab.client()
			if err != nil {
				return err
			}
			err = client.Down(cmd.Context())
			if err != nil && !errors.Is(err, supervisor.ErrDown) {
				return err
			}
			if !dir.Used() {
				fmt.Fprintf(cmd.ErrOrStderr(), "there is no lab in %s\n", dir)
				return nil
			}
			unlock, err := waitLock(cmd.Context(), dir)
			if err != nil {
				return err
			}
			defer unlock()
			if purge {
				return dir.Purge()
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "forget the lab: its cluster, keys, volumes and logs")
	return cmd
}

// waitLock returns when the supervisor is gone: it holds the lock until its
// process ends.
func waitLock(ctx context.Context, dir labstate.Dir) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, shutdownLimit+5*time.Second)
	defer cancel()
	if wait.PollUntilContextCancel(ctx, 20*time.Millisecond, true, func(context.Context) (bool, error) {
		unlock, err = dir.Lock()
		return !errors.Is(err, labstate.ErrLocked), nil
	}) != nil {
		return nil, fmt.Errorf("%w; it does not end: see %s", err, dir.Log("supervisor"))
	}
	return unlock, err
}
