package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	"github.com/ztplan/ztplan/cmd/ztplan/ui"
	"github.com/ztplan/ztplan/engine/display"
)

func (a *app) lintCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lint PLAN",
		Short: "Is the trust set-up sound? Offline",
		Long: `Lint looks for what makes a set-up fail later, or unsafe now: versions that are
known to be bad, lifetimes in the wrong order, permissions that the plan forgets,
proofs that are missing. It contacts nothing.

Exit status: 0 no errors (there may be warnings), 1 errors, 3 the plan is
invalid.`,
		Args: onePlan,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, _, err := a.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			findings := lint.Check(p)
			errs := 0
			for _, f := range findings {
				if f.Severity == lint.Error {
					errs++
				}
			}
			if a.Output == "json" {
				if err := json.NewEncoder(display.JSONWriter{W: a.Stdout}).Encode(append([]lint.Finding{}, findings...)); err != nil {
					return err
				}
			} else {
				for _, f := range findings {
					fmt.Fprintf(a.Text, "%s: %s: step %s: %s [%s]\n    why: %s\n", f.Position, f.Severity, f.Step, f.Message, f.Rule, f.Why)
					if f.Hint != "" {
						fmt.Fprintf(a.Text, "    hint: %s\n", f.Hint)
					}
					if a.Output == "github" {
						ui.Annotate(a.Stdout, string(f.Severity), ui.Problem{Position: f.Position, Text: f.Message + "\n" + f.Hint}, "lint: "+f.Rule)
					}
				}
				fmt.Fprintf(a.Text, "%s: %d errors, %d warnings\n", args[0], errs, len(findings)-errs)
			}
			if errs > 0 {
				return &cli.Error{Code: cli.Failed}
			}
			return nil
		},
	}
	a.planFlags(cmd)
	return cmd
}
