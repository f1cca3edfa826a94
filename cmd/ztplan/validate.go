package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/engine/display"
)

func (a *app) validateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate PLAN",
		Short: "Check schema, references and graph, offline",
		Long: `Validate reads the plan and everything that it names and reports every problem
at once, each with its place. It contacts nothing.

Exit status: 0 valid, 3 invalid.`,
		Args: onePlan,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, _, err := a.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.Output == "json" {
				return json.NewEncoder(display.JSONWriter{W: a.Stdout}).Encode(map[string]any{"valid": true, "plan": p.Name, "steps": len(p.Steps)})
			}
			edges := 0
			for _, s := range p.Steps {
				edges += len(s.Needs)
			}
			_, err = fmt.Fprintf(a.Text, "%s: plan %s is valid: %d steps, %d dependencies\n", args[0], p.Name, len(p.Steps), edges)
			return err
		},
	}
	a.planFlags(cmd)
	a.selectionFlags(cmd)
	return cmd
}
