package reference

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/schemas"
)

// ExplainCommand returns the command that prints the reference.
func ExplainCommand(a *cli.Invocation) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [NAME[.FIELD…]]",
		Short: "Reference for a kind, the language of plans, or fleets",
		Long: `Explain prints the reference: of a kind of step, of a part of the plan's language
(plan, vars, references, steps, forEach, include, fragment, when, retry, connections), or
of the document of a fleet; with fields after the name, of one field. Any other word is
looked for among the keys: "ztplan explain login" says where it is. Without a name it
lists all names.`,
		Example: `  ztplan explain
  ztplan explain pkiRoot
  ztplan explain curlTLS.expect.certificate
  ztplan explain when
  ztplan explain retry.delay
  ztplan explain fleet.waves.stop`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			book, err := Open()
			if err != nil || len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return book.Names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			book, err := Open()
			if err != nil {
				return err
			}
			part := book.List()
			if len(args) == 1 {
				if part, err = book.Find(args[0]); err != nil {
					return &cli.Error{Code: cli.Invalid, Text: err.Error(), Hint: engine.HintOf(err)}
				}
			}
			if a.Output == "json" {
				return json.NewEncoder(a.Stdout).Encode(part.Data)
			}
			return part.Write(a.Text)
		},
	}
	a.OutputFlag(cmd, "text", "json")
	return cmd
}

// SchemaCommand returns the command that prints a JSON Schema.
func SchemaCommand(a *cli.Invocation) *cobra.Command {
	return &cobra.Command{
		Use:   "schema [plan|fragment|fleet|event|evidence]",
		Short: "Print the JSON Schema of plans, fragments, fleets, events or evidence",
		Long: `Schema prints the JSON Schema of plans. An editor with a YAML language server
uses it when the plan begins with

  # yaml-language-server: $schema=FILE

"ztplan schema fragment" prints that of fragments, "ztplan schema fleet" that of
fleets, "ztplan schema event" that of one line of --output json, and "ztplan schema
evidence" that of evidence.json.`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"plan", "fragment", "fleet", "event", "evidence"},
		RunE: func(cmd *cobra.Command, args []string) error {
			text := schemas.Plan
			if len(args) == 1 {
				text = map[string][]byte{"plan": schemas.Plan, "fragment": schemas.Fragment, "fleet": schemas.FleetDocument, "event": schemas.Event, "evidence": schemas.Evidence}[args[0]]
			}
			_, err := a.Stdout.Write(text)
			return err
		},
	}
}
