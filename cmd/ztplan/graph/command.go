package graph

import (
	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/planflags"
	"github.com/ztplan/ztplan/engine/display"
)

// Command returns the command that prints the graph of a plan.
func Command(a *planflags.Flags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "graph PLAN",
		Short: "Print the graph as text, DOT, Mermaid or SVG",
		Long: `Graph prints the steps of a plan and what they need: as text, for Graphviz (dot), for
Mermaid, or as a picture (svg), and with --output json as data. It contacts nothing.

Exit status: 0 the graph is printed, 3 the plan is invalid.`,
		Args: planflags.OnePlan,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, _, err := a.Load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.Output == "json" {
				return JSON(display.JSONWriter{W: a.Stdout}, p)
			}
			switch format {
			case "dot":
				return DOT(a.Text, p)
			case "mermaid":
				return Mermaid(a.Text, p)
			case "svg":
				return SVG(a.Text, p)
			}
			return Text(a.Text, p)
		},
	}
	cli.ChoiceVar(cmd, cmd.Flags(), &format, "format", "f", "text", []string{"text", "dot", "mermaid", "svg"}, "form of the graph")
	a.PlanFlags(cmd)
	return cmd
}
