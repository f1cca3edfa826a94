package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

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
				return a.explainAll(kinds)
			}
			path := strings.Split(args[0], ".")
			i := slices.IndexFunc(kinds, func(k schemas.Kind) bool { return k.Name == path[0] })
			if i < 0 {
				i = slices.IndexFunc(kinds, func(k schemas.Kind) bool { return strings.EqualFold(k.Name, path[0]) })
			}
			if i < 0 {
				return &exitError{code: exitFailed, text: fmt.Sprintf("there is no kind %q", path[0]), hint: "ztplan explain lists all kinds"}
			}
			if len(path) == 1 {
				return a.explainKind(kinds[i])
			}
			return a.explainField(kinds[i], path[1:])
		},
	}
}

func (a *app) explainAll(kinds []schemas.Kind) error {
	if a.output == "json" {
		return json.NewEncoder(a.stdout).Encode(kinds)
	}
	for _, k := range kinds {
		text, _, _ := strings.Cut(strings.ReplaceAll(k.Doc, "\n", " "), ". ")
		text = strings.TrimPrefix(text, k.Name+" ")
		if _, err := fmt.Fprintf(a.text, "%-16s %s\n", k.Name, strings.TrimSuffix(text, ".")); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) explainKind(k schemas.Kind) error {
	if a.output == "json" {
		return json.NewEncoder(a.stdout).Encode(k)
	}
	w := a.text
	fmt.Fprintf(w, "%s\n\n%s\n", strings.ToUpper(k.Name), k.Doc)
	attempts := fmt.Sprint(k.Policy.Attempts)
	if k.Policy.Attempts == 0 {
		attempts = "until the timeout"
	}
	fmt.Fprintf(w, "\nDEFAULTS\n  timeout %s, attempts %s, delay %s\n", k.Policy.Timeout, attempts, k.Policy.Delay)
	fmt.Fprintf(w, "\nINPUTS\n")
	explainFields(w, "  ", k.Inputs)
	fmt.Fprintf(w, "\nOUTPUTS\n")
	explainFields(w, "  ", k.Outputs)
	_, err := fmt.Fprintf(w, "\nEXAMPLE\n%s", indent(k.Example, "  "))
	return err
}

func (a *app) explainField(k schemas.Kind, path []string) error {
	fields := append(slices.Clone(k.Inputs), k.Outputs...)
	var field schemas.Field
	for i, name := range path {
		j := slices.IndexFunc(fields, func(f schemas.Field) bool { return f.Name == name })
		if j < 0 {
			var names []string
			for _, f := range fields {
				names = append(names, f.Name)
			}
			at := strings.Join(append([]string{k.Name}, path[:i]...), ".")
			return &exitError{code: exitFailed, text: fmt.Sprintf("%s has no field %q", at, name), hint: "it has " + strings.Join(names, ", ")}
		}
		field, fields = fields[j], fields[j].Fields
	}
	if a.output == "json" {
		return json.NewEncoder(a.stdout).Encode(field)
	}
	fmt.Fprintf(a.text, "%s.%s  %s\n\n%s\n", k.Name, strings.Join(path, "."), fieldType(field), indent(field.Doc, "  "))
	if len(field.Fields) > 0 {
		fmt.Fprintf(a.text, "\nFIELDS\n")
		explainFields(a.stdout, "  ", field.Fields)
	}
	return nil
}

func explainFields(w io.Writer, prefix string, fields []schemas.Field) {
	for _, f := range fields {
		fmt.Fprintf(w, "%s%s  %s\n%s\n", prefix, f.Name, fieldType(f), indent(f.Doc, prefix+"    "))
		explainFields(w, prefix+"  ", f.Fields)
	}
}

func fieldType(f schemas.Field) string {
	t := "<" + f.Type + ">"
	switch {
	case f.Required:
		t += " required"
	case f.Default != nil:
		t += fmt.Sprintf(" default %v", f.Default)
	}
	if len(f.OneOf) > 0 {
		t += " one of " + strings.Join(f.OneOf, ", ")
	}
	return t
}

func indent(text, prefix string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(prefix)
		}
		b.WriteString(line)
	}
	return b.String()
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
