package main

import (
	"encoding/json"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztlab/component/vault/alone"
)

func vaultCommand() *cobra.Command {
	var server alone.Server
	cmd := &cobra.Command{
		Use:   "vault --data DIR",
		Short: "Run the lab's Vault alone, without a cluster",
		Long: `Run the lab's Vault alone, without a cluster: for trying a step against Vault by
address, and for tests.

One line goes to standard output when it answers, {"address": "http://…"}. It
starts sealed or uninitialised, keeps its data in the directory, and ends when
standard input ends or it is interrupted. Every user of the machine can connect to
its port, and initialise it first.

With --tls it serves TLS with a certificate of an authority of its own, which the
line names as caFile. With --client-ca as well, every client must show a certificate.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			return server.Run(untilEnd(ctx, os.Stdin), func(a alone.Address) error {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(a)
			})
		},
	}
	cmd.Flags().StringVar(&server.Dir, "data", "", "directory of Vault's data, made when it is not there")
	cmd.Flags().BoolVar(&server.TLS, "tls", false, "serve TLS; the certificates are made in DIR/tls")
	cmd.Flags().StringArrayVar(&server.Names, "name", nil, "with --tls, a further name of the certificate; repeatable")
	cmd.Flags().StringVar(&server.ClientCA, "client-ca", "", "with --tls, a PEM file with the authorities of the certificates that clients must show")
	_ = cmd.MarkFlagRequired("data")
	return cmd
}
