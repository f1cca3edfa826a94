// Package reference prints the reference of kinds and of fleets for a terminal.
package reference

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/schemas"
)

// List writes a line a kind.
func List(w io.Writer, kinds []schemas.Kind) error {
	for _, k := range kinds {
		text, _, _ := strings.Cut(strings.ReplaceAll(k.Doc, "\n", " "), ". ")
		text = strings.TrimPrefix(text, k.Name+" ")
		if _, err := fmt.Fprintf(w, "%-16s %s\n", k.Name, strings.TrimSuffix(text, ".")); err != nil {
			return err
		}
	}
	return nil
}

// Kind writes the whole reference of a kind.
func Kind(w io.Writer, k schemas.Kind) error {
	fmt.Fprintf(w, "%s\n\n%s\n", strings.ToUpper(k.Name), k.Doc)
	attempts := fmt.Sprint(k.Policy.Attempts)
	if k.Policy.Attempts == 0 {
		attempts = "until the timeout"
	}
	fmt.Fprintf(w, "\nDEFAULTS\n  timeout %s, attempts %s, delay %s\n", k.Policy.Timeout, attempts, k.Policy.Delay)
	fmt.Fprintf(w, "\nINPUTS\n")
	fields(w, "  ", k.Inputs)
	fmt.Fprintf(w, "\nOUTPUTS\n")
	fields(w, "  ", k.Outputs)
	_, err := fmt.Fprintf(w, "\nEXAMPLE\n%s", indent(k.Example, "  "))
	return err
}

// Fleet writes the whole reference of the document of a fleet.
func Fleet(w io.Writer, f schemas.Fleet) error {
	fmt.Fprintf(w, "FLEET\n\n%s\n\nFIELDS\n", f.Doc)
	fields(w, "  ", f.Fields)
	_, err := fmt.Fprintf(w, "\nEXAMPLE\n%s", indent(f.Example, "  "))
	return err
}

// Find returns the field of a list at a path; name is that of the list. The error has a
// hint with the name that may be meant, or those that there are.
func Find(name string, list []schemas.Field, path []string) (schemas.Field, error) {
	var field schemas.Field
	for i, part := range path {
		j := slices.IndexFunc(list, func(f schemas.Field) bool { return f.Name == part })
		if j < 0 {
			var names []string
			for _, f := range list {
				names = append(names, f.Name)
			}
			at := strings.Join(append([]string{name}, path[:i]...), ".")
			return field, engine.WithHint(fmt.Errorf("%s has no field %q", at, part), source.Suggestion(part, names, "it has "))
		}
		field, list = list[j], list[j].Fields
	}
	return field, nil
}

// Field writes the reference of a field; name is KIND.FIELD….
func Field(w io.Writer, name string, field schemas.Field) error {
	_, err := fmt.Fprintf(w, "%s  %s\n\n%s\n", name, typeOf(field), indent(field.Doc, "  "))
	if len(field.Fields) > 0 {
		fmt.Fprintf(w, "\nFIELDS\n")
		fields(w, "  ", field.Fields)
	}
	return err
}

func fields(w io.Writer, prefix string, list []schemas.Field) {
	for _, f := range list {
		fmt.Fprintf(w, "%s%s  %s\n%s\n", prefix, f.Name, typeOf(f), indent(f.Doc, prefix+"    "))
		fields(w, prefix+"  ", f.Fields)
	}
}

func typeOf(f schemas.Field) string {
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
