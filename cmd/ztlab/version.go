package main

import (
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztlab/controlplane"
)

// licence is printed with the version: one of the parts is not open source in
// the OSI's sense.
const licence = `
ztlab links HashiCorp Vault, which since version 1.15 is under the Business
Source License 1.1 (BUSL-1.1). The lab is a development and test tool; do not
offer it to third parties as a service. Kubernetes, etcd and cert-manager are
under the Apache License 2.0. ztplan itself links none of these servers.
`

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the versions of the lab's parts, and their licences",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintf(w, "ztlab\t%s\t%s\n", labVersion(), runtime.Version())
			versions := controlplane.Versions()
			for _, name := range slices.Sorted(maps.Keys(versions)) {
				fmt.Fprintf(w, "%s\t%s\n", name, versions[name])
			}
			if err := w.Flush(); err != nil {
				return err
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), licence)
			return err
		},
	}
}

// labVersion is the version of ztlab itself, as the build recorded it.
func labVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}
