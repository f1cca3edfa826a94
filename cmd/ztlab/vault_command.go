package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztlab/component/vault"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

func vaultCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "vault --data DIR",
		Short: "Run the lab's Vault alone, without a cluster",
		Long: `Run the lab's Vault alone, without a cluster: for trying a step against Vault by
address, and for tests.

One line goes to standard output when it answers, {"address": "http://…"}. It
starts sealed or uninitialised, keeps its data in the directory, and ends when
standard input ends or it is interrupted. Every user of the machine can connect to
its port, and initialise it first.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return runVault(untilEnd(ctx, os.Stdin), data, func(address string) error {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"address": address})
			})
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "directory of Vault's data, made when it is not there")
	_ = cmd.MarkFlagRequired("data")
	return cmd
}

func runVault(ctx context.Context, dir string, ready func(address string) error) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err = vault.Run(ctx, container.Spec{
		Namespace: "vault", Pod: "vault-0", Name: "vault", Dir: dir,
		Mounts: map[string]string{"/vault/data": data},
	}, func(r container.Report) {
		if a := r.Listen[8200]; a != "" {
			if err := ready("http://" + a); err != nil {
				cancel(err)
			}
		}
	})
	if err == nil && ctx.Err() != nil && context.Cause(ctx) != context.Canceled {
		err = context.Cause(ctx)
	}
	return err
}
