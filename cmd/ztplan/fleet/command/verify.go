package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/attest"
	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/ledger"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

func (a *commands) verifyCommand() *cobra.Command {
	var keyFile string
	var o ledger.Options
	cmd := &cobra.Command{
		Use:   "verify DIR...",
		Short: "Check the report of a fleet, offline",
		Long: `Verify checks the folder that --report wrote: the Merkle root over the leaves of all
clusters, the counts and the result, the evidence of every cluster by its digest, the
page, and with --key the signature. --deep computes the evidence of every cluster again, as
ztplan verify does; --cluster does so for one, and shows that its leaf is in the tree.

Several folders, one from each hub, are checked one after the other. Then the counts
of all are printed, with a Merkle root over their fleet.json, in the order of fleets
and hubs. A cluster that is in two of them is refused. -o json writes one object with
the checks of all.

Exit status: 0 everything holds, 1 something does not.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if keyFile != "" {
				data, err := engine.ReadFile(keyFile, engine.MaxInput)
				if err == nil {
					o.Key, err = attest.ParsePublic(keyFile, data)
				}
				if err != nil {
					return err
				}
			}
			o.Version = a.version
			return a.verify(cmd.Context(), args, o)
		},
	}
	a.OutputFlag(cmd, "text", "json")
	cmd.Flags().StringVar(&keyFile, "key", "", "demand a signature by the public key in this PEM `file`")
	cmd.Flags().BoolVar(&o.Deep, "deep", false, "compute the evidence of every cluster again")
	cmd.Flags().StringVar(&o.Cluster, "cluster", "", "verify one `cluster` only, and that it is in the tree")
	return cmd
}

// verify checks each folder, and then that they fit together.
func (a *commands) verify(ctx context.Context, dirs []string, o ledger.Options) error {
	if o.Cluster != "" && len(dirs) > 1 {
		return &cli.Error{Code: cli.Invalid, Text: "--cluster: takes one folder", Hint: "name the folder that has the cluster"}
	}
	out, text := verified{Holds: true}, a.Text
	if a.Output == "json" {
		text = io.Discard
	}
	var reports []*ledger.Report
	var first error
	for _, dir := range dirs {
		r, err := ledger.Verify(ctx, dir, o)
		if err != nil {
			return err
		}
		if err := printChecks(text, dir, r); err != nil && first == nil {
			first = err
		}
		reports = append(reports, r)
		out.add(dir, r)
	}
	if first == nil && len(reports) > 1 {
		m, err := ledger.Merge(reports)
		if err != nil {
			return err
		}
		out.merge(m)
		first = printMerged(text, m, len(reports))
	}
	if a.Output == "json" {
		if err := a.WriteJSON(out); err != nil {
			return err
		}
	}
	return first
}

func printChecks(w io.Writer, dir string, r *ledger.Report) error {
	bad := 0
	for _, c := range r.Checks {
		if !c.Holds() {
			bad++
		}
		printCheck(w, c)
	}
	if bad > 0 {
		return &cli.Error{Code: cli.Failed, Text: fmt.Sprintf("%s: %d of %d checks do not hold", dir, bad, len(r.Checks))}
	}
	how := "UNSIGNED"
	if r.Signed {
		how = "signed"
	}
	_, err := fmt.Fprintf(w, "%s: fleet %s, run %s: %s, %s, %s\n", dir, r.Head.Fleet, r.Head.Run, r.Head.Result, display.Count(len(r.Leaves), "cluster"), how)
	return err
}

func printMerged(w io.Writer, m *ledger.Merged, reports int) error {
	printCheck(w, m.Check)
	if !m.Check.Holds() {
		return &cli.Error{Code: cli.Failed, Text: "the folders do not fit together"}
	}
	_, err := fmt.Fprintf(w, "%s of %s: %s: %s\n", display.Count(reports, "report"), display.Count(m.Clusters, "cluster"), m.Result, ledger.Words(m.Counts))
	if err == nil {
		_, err = fmt.Fprintf(w, "root over the reports: %s\n", m.Root)
	}
	return err
}

func printCheck(w io.Writer, c verify.Check) {
	fmt.Fprintf(w, "%s %s: %s\n", c.Mark(), c.Name, display.OneLine(c.Did))
	for i, p := range c.Problems {
		if i == 10 {
			fmt.Fprintf(w, "    … and %d more\n", len(c.Problems)-i)
			break
		}
		fmt.Fprintf(w, "    %s\n", display.OneLine(p))
	}
}
