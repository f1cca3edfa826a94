package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/reference"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/schemas"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [KIND[.FIELD…]]",
		Short: "Reference for a kind, from its source",
		Example: `  ztplan explain
  ztplan explain pkiRoot
  ztplan explain curlTLS.expect.certificate`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			kinds, _ := schemas.Kinds()
			var names []string
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
			i := slices.IndexFunc(kinds, func(k schemas.Kind) bool { return strings.EqualFold(k.Name, path[0]) })
			if i < 0 {
				return &exitError{code: exitFailed, text: fmt.Sprintf("there is no kind %q", path[0]), hint: "ztplan explain lists all kinds"}
			}
			if len(path) == 1 {
				return a.explain(kinds[i], func(w io.Writer) error { return reference.Kind(w, kinds[i]) })
			}
			field, err := reference.Find(kinds[i], path[1:])
			if err != nil {
				return &exitError{code: exitFailed, text: err.Error(), hint: engine.HintOf(err)}
			}
			return a.explain(field, func(w io.Writer) error {
				return reference.Field(w, kinds[i].Name+"."+strings.Join(path[1:], "."), field)
			})
		},
	}
}

// explain shows a part of the reference, as JSON or as text.
func (a *app) explain(part any, text func(io.Writer) error) error {
	if a.output == "json" {
		return json.NewEncoder(a.stdout).Encode(part)
	}
	return text(a.text)
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [plan|event]",
		Short: "Print the JSON Schema that editors use, or that of the events",
		Long: `Schema prints the JSON Schema of plans. An editor with a YAML language server
uses it when the plan begins with

  # yaml-language-server: $schema=FILE

"ztplan schema event" prints that of one line of --output json.`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"plan", "event"},
		RunE: func(cmd *cobra.Command, args []string) error {
			text := schemas.Plan
			if len(args) == 1 && args[0] == "event" {
				text = schemas.Event
			}
			_, err := a.stdout.Write(text)
			return err
		},
	}
}
