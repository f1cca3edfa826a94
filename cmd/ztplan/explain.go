package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/reference"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/schemas"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [KIND[.FIELD…] | fleet[.FIELD…]]",
		Short: "Reference for a kind or for fleets, from the source",
		Example: `  ztplan explain
  ztplan explain pkiRoot
  ztplan explain curlTLS.expect.certificate
  ztplan explain fleet.waves.stop`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			kinds, _ := schemas.Kinds()
			names := []string{"fleet"}
			for _, k := range kinds {
				names = append(names, k.Name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			kinds, err := schemas.Kinds()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return a.explain(kinds, func(w io.Writer) error { return reference.List(w, kinds) })
			}
			path := strings.Split(args[0], ".")
			if path[0] == "fleet" {
				return a.explainFleet(path)
			}
			i := slices.IndexFunc(kinds, func(k schemas.Kind) bool { return strings.EqualFold(k.Name, path[0]) })
			if i < 0 {
				return &cli.Error{Code: cli.Failed, Text: fmt.Sprintf("there is no kind %q", path[0]), Hint: "ztplan explain lists all kinds"}
			}
			if len(path) == 1 {
				return a.explain(kinds[i], func(w io.Writer) error { return reference.Kind(w, kinds[i]) })
			}
			path[0] = kinds[i].Name
			return a.explainField(append(slices.Clone(kinds[i].Inputs), kinds[i].Outputs...), path)
		},
	}
}

// explainFleet shows the reference of the document of a fleet, or of a field of it.
func (a *app) explainFleet(path []string) error {
	f, err := schemas.FleetReference()
	if err != nil {
		return err
	}
	if len(path) == 1 {
		return a.explain(f, func(w io.Writer) error { return reference.Fleet(w, f) })
	}
	return a.explainField(f.Fields, path)
}

// explainField shows a field of a list; the path begins with the name of the list.
func (a *app) explainField(list []schemas.Field, path []string) error {
	field, err := reference.Find(path[0], list, path[1:])
	if err != nil {
		return &cli.Error{Code: cli.Failed, Text: err.Error(), Hint: engine.HintOf(err)}
	}
	return a.explain(field, func(w io.Writer) error { return reference.Field(w, strings.Join(path, "."), field) })
}

// explain shows a part of the reference, as JSON or as text.
func (a *app) explain(part any, text func(io.Writer) error) error {
	if a.Output == "json" {
		return json.NewEncoder(a.Stdout).Encode(part)
	}
	return text(a.Text)
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [plan|fleet|event|evidence]",
		Short: "Print the JSON Schema of plans, fleets, events or evidence",
		Long: `Schema prints the JSON Schema of plans. An editor with a YAML language server
uses it when the plan begins with

  # yaml-language-server: $schema=FILE

"ztplan schema fleet" prints that of fleets, "ztplan schema event" that of one line
of --output json, and "ztplan schema evidence" that of evidence.json.`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"plan", "fleet", "event", "evidence"},
		RunE: func(cmd *cobra.Command, args []string) error {
			text := schemas.Plan
			if len(args) == 1 {
				text = map[string][]byte{"plan": schemas.Plan, "fleet": schemas.FleetDocument, "event": schemas.Event, "evidence": schemas.Evidence}[args[0]]
			}
			_, err := a.Stdout.Write(text)
			return err
		},
	}
}
