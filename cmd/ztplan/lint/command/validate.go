// Package command has the commands that check a plan offline: validate and lint.
package command

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/planflags"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/plan"
)

// ValidateCommand returns the command that reads a plan and reports its problems.
func ValidateCommand(a *planflags.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate PLAN",
		Short: "Check schema, references and graph, offline",
		Long: `Validate reads the plan and everything that it names and reports every problem
at once, each with its place. It contacts nothing.

A fragment is checked by itself: what its variables have no default for, and the
connections of the plan that includes it, are not known then.

Exit status: 0 valid, 3 invalid.`,
		Args: planflags.OnePlan,
		RunE: func(cmd *cobra.Command, args []string) error {
			a.Fragment = true
			p, _, err := a.Load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if p.Fragment {
				return validFragment(a, args[0], p)
			}
			if a.Output == "json" {
				return a.WriteJSON(map[string]any{"valid": true, "plan": p.Name, "steps": len(p.Steps)})
			}
			edges := 0
			for _, s := range p.Steps {
				edges += len(s.Needs)
			}
			_, err = fmt.Fprintf(a.Text, "%s: plan %s is valid: %s, %s\n", args[0], p.Name, display.Count(len(p.Steps), "step"), display.Count(edges, "dependency"))
			return err
		},
	}
	a.PlanFlags(cmd)
	a.SelectionFlags(cmd)
	return cmd
}

// validFragment prints that a fragment is valid, and the limits of its check.
func validFragment(a *planflags.Flags, file string, p *plan.Plan) error {
	if a.Output == "json" {
		return a.WriteJSON(map[string]any{"valid": true, "fragment": true, "steps": len(p.Steps)})
	}
	_, err := fmt.Fprintf(a.Text, "%s: the fragment is valid, as far as it can be checked without a plan that includes it: %s\n", file, display.Count(len(p.Steps), "step"))
	return err
}
