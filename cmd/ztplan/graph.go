package main

import (
	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/graph"
	"github.com/ztplan/ztplan/engine/display"
)

func (a *app) graphCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "graph PLAN",
		Short: "Print the graph as text, DOT, Mermaid or SVG",
		Long: `Graph prints the steps of a plan and what they need: as text, for Graphviz (dot), for
Mermaid, or as a picture (svg), and with --output json as data. It contacts nothing.

Exit status: 0 the graph is printed, 3 the plan is invalid.`,
		Args: onePlan,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, _, err := a.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.Output == "json" {
				return graph.JSON(display.JSONWriter{W: a.Stdout}, p)
			}
			switch format {
			case "dot":
				return graph.DOT(a.Text, p)
			case "mermaid":
				return graph.Mermaid(a.Text, p)
			case "svg":
				return graph.SVG(a.Text, p)
			}
			return graph.Text(a.Text, p)
		},
	}
	cli.ChoiceVar(cmd, cmd.Flags(), &format, "format", "f", "text", []string{"text", "dot", "mermaid", "svg"}, "form of the graph")
	a.planFlags(cmd)
	return cmd
}
