package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/graph"
)

func (a *app) graphCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "graph PLAN",
		Short: "Print the graph as text, DOT, Mermaid or SVG",
		Args:  onePlan,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, _, err := a.load(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			switch format {
			case "text":
				return graph.Text(a.Text, p)
			case "dot":
				return graph.DOT(a.Text, p)
			case "mermaid":
				return graph.Mermaid(a.Text, p)
			case "svg":
				return graph.SVG(a.Text, p)
			}
			return &cli.Error{Code: cli.Invalid, Text: fmt.Sprintf("--format %s: there is text, dot, mermaid and svg", format)}
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "text", "text, dot, mermaid or svg")
	return cmd
}
