package audit

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/compare"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// DiffCommand returns the command that compares two evidences.
func DiffCommand(a *cli.Invocation) *cobra.Command {
	var ratio float64
	var longer time.Duration
	cmd := &cobra.Command{
		Use:   "diff EVIDENCE|DIR EVIDENCE|DIR",
		Short: "What changed between two evidences: the gate before an upgrade",
		Long: `Diff compares the evidence of a run with that of an earlier one, offline, and says
which differences are regressions:

  result, failed-step       the run proved and does not any more, or failed; a step fails
  missing-proof             a proof held and does not now, or is not in the plan any more
  missing-rule              a proof that holds checks one rule less
  denial-hole               an attempt that must be refused is not
  missing-denial            an attempt that was refused is not made any more
  switch                    the wire took longer to show a new certificate: beyond both
                            --slower-ratio and --slower-by; less is a difference
  failed-handshakes         more handshakes failed while certificates were rotated
  rotations                 fewer rotations were measured
  key-reuse                 a new certificate has the key of an older one
  unexpected-renewal        a certificate that nothing asked for was seen in a rotation,
                            or on the same cluster the trusted root is another one

Other versions of charts, components, images, the cluster and ztplan, and another plan,
are differences and no regressions. Evidence that does not verify is not compared; see
ztplan verify, also for signatures.

Exit status: 0 no regression, 2 there are regressions, 1 the evidence does not hold or
cannot be read, 3 wrong usage.`,
		Example: "  ztplan diff before/evidence.json after/evidence.json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("%s takes two files or folders, not %d arguments", cmd.CommandPath(), len(args)),
				Hint: "for example: " + cmd.CommandPath() + " before after"}
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if ratio < 1 || longer < 0 {
				return &cli.Error{Code: cli.Invalid, Text: "--slower-ratio is less than 1, or --slower-by is negative", Hint: "for example: --slower-ratio 1.5 --slower-by 1s"}
			}
			return diff(a, args, compare.Limits{Ratio: ratio, Seconds: longer.Seconds()})
		},
	}
	a.OutputFlag(cmd, "text", "json")
	cmd.Flags().Float64Var(&ratio, "slower-ratio", 1.5, "a switch is slower if it takes more than this many times as long, and more than --slower-by")
	cmd.Flags().DurationVar(&longer, "slower-by", time.Second, "a switch is slower if it takes longer by more than this `duration`, and --slower-ratio")
	return cmd
}

func diff(a *cli.Invocation, names []string, l compare.Limits) error {
	documents := make([]*evidence.Document, len(names))
	for i, name := range names {
		var err error
		if documents[i], err = comparable(name); err != nil {
			return err
		}
	}
	c := compare.New(documents[0], documents[1], l)
	var err error
	if a.Output == "json" {
		err = c.JSON(display.JSONWriter{W: a.Stdout})
	} else {
		err = c.Text(a.Text)
	}
	if err == nil && c.Regressions() > 0 {
		err = &cli.Error{Code: cli.Differs}
	}
	return err
}

// comparable reads the evidence in a file or a report's folder, and refuses the
// evidence of a dry run.
func comparable(name string) (*evidence.Document, error) {
	d, _, err := holding(name)
	if err == nil && d.Run.Mode == evidence.ModeDryRun {
		err = &cli.Error{Code: cli.Failed, Text: name + " is the evidence of a dry run, which proves nothing", Hint: "compare the evidence of runs"}
	}
	return d, err
}
