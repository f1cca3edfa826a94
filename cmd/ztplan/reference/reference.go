// Package reference finds parts of the reference of plans, kinds and fleets, and prints
// them for a terminal.
package reference

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/schemas"
)

// A Part is a part of the reference.
type Part struct {
	Data  any                     // for JSON
	Write func(w io.Writer) error // for a terminal
}

// A Book is the whole reference.
type Book struct {
	kinds  []schemas.Kind
	topics []schemas.Topic
}

// Open returns the reference of this program.
func Open() (*Book, error) {
	kinds, err := schemas.Kinds()
	if err != nil {
		return nil, err
	}
	topics, err := schemas.Topics()
	return &Book{kinds, topics}, err
}

// Names returns the names of the kinds and then those of the topics.
func (b *Book) Names() []string {
	var out []string
	for _, k := range b.kinds {
		out = append(out, k.Name)
	}
	for _, t := range b.topics {
		out = append(out, t.Name)
	}
	return out
}

// List returns a line for each kind and each topic.
func (b *Book) List() Part {
	return Part{b.kinds, func(w io.Writer) error {
		for _, k := range b.kinds {
			fmt.Fprintf(w, "%-16s %s\n", k.Name, strings.TrimPrefix(firstSentence(k.Doc), k.Name+" "))
		}
		fmt.Fprintln(w)
		for _, t := range b.topics {
			fmt.Fprintf(w, "%-16s %s\n", t.Name, firstSentence(t.Doc))
		}
		_, err := fmt.Fprintln(w, "\nztplan explain NAME or NAME.FIELD says more.")
		return err
	}}
}

// Find returns the part with a name, such as pkiRoot, pkiRoot.urls, plan.steps.retry or
// retry.delay. The error has a hint with the name that may be meant.
func (b *Book) Find(name string) (Part, error) {
	path := strings.Split(name, ".")
	if i := slices.IndexFunc(b.kinds, func(k schemas.Kind) bool { return strings.EqualFold(k.Name, path[0]) }); i >= 0 {
		k := b.kinds[i]
		if len(path) == 1 {
			return Part{k, func(w io.Writer) error { return b.kind(w, k) }}, nil
		}
		return find(k.Name, append(slices.Clone(k.Inputs), k.Outputs...), path[1:])
	}
	t, ok := b.topic(path[0])
	if !ok {
		return b.search(path[0])
	}
	// A key of the language that is a topic has its keys there.
	for len(path) > 1 && slices.ContainsFunc(t.Fields, func(f schemas.Field) bool { return f.Name == path[1] }) {
		below, ok := b.topic(path[1])
		if !ok || t.Name == "fleet" {
			break
		}
		t, path = below, path[1:]
	}
	if len(path) == 1 {
		return Part{t, func(w io.Writer) error { return b.write(w, t) }}, nil
	}
	return find(t.Name, t.Fields, path[1:])
}

// search returns where a word that is the name of no part is a key. Another tool's word for
// a key of a plan or a step is looked for as that key.
func (b *Book) search(word string) (Part, error) {
	places := b.places(word)
	if len(places) == 0 {
		for _, name := range []string{"plan", "steps"} {
			if t, ok := b.topic(name); ok {
				if key, same := source.Meant(word, names(t.Fields)); same {
					return Part{}, engine.WithHint(fmt.Errorf("a plan has no %q", word), fmt.Sprintf("it is %s here: ztplan explain %s.%s", key, name, key))
				}
			}
		}
		return Part{}, engine.WithHint(fmt.Errorf("there is no kind %q", word), suggestion(word, b.Names()))
	}
	return Part{places, func(w io.Writer) error {
		fmt.Fprintf(w, "%s is a key of\n\n", word)
		for _, place := range places {
			fmt.Fprintf(w, "  %s\n", place)
		}
		_, err := fmt.Fprintf(w, "\nztplan explain %s says what it is there.\n", places[0])
		return err
	}}, nil
}

// places returns the paths of all fields with a name. Those in the connection to Vault of
// a kind are left out: they are those of connections.vault.
func (b *Book) places(name string) []string {
	var out []string
	var walk func(path string, list []schemas.Field)
	walk = func(path string, list []schemas.Field) {
		for _, f := range list {
			at := path + "." + f.Name
			if strings.EqualFold(f.Name, name) && !slices.Contains(out, at) {
				out = append(out, at)
			}
			walk(at, f.Fields)
		}
	}
	for _, t := range b.topics {
		walk(t.Name, t.Fields)
	}
	for _, k := range b.kinds {
		list := make([]schemas.Field, len(k.Inputs))
		for i, f := range k.Inputs {
			if list[i] = f; b.connected(f) {
				list[i].Fields = nil
			}
		}
		walk(k.Name, append(list, k.Outputs...))
	}
	return out
}

// connected reports whether an input is that of the plan's connections.
func (b *Book) connected(f schemas.Field) bool {
	t, _ := b.topic("connections")
	return f.Type == "object" && slices.Contains(names(t.Fields), f.Name)
}

func names(list []schemas.Field) []string {
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = f.Name
	}
	return out
}

func suggestion(written string, names []string) string {
	if s := source.DidYouMean(written, names); s != "" {
		return s
	}
	return "ztplan explain lists all kinds"
}

func (b *Book) topic(name string) (schemas.Topic, bool) {
	i := slices.IndexFunc(b.topics, func(t schemas.Topic) bool { return t.Name == name })
	if i < 0 {
		return schemas.Topic{}, false
	}
	return b.topics[i], true
}

// write writes the whole reference of a topic.
func (b *Book) write(w io.Writer, t schemas.Topic) error {
	_, err := fmt.Fprintf(w, "%s\n\n%s\n", strings.ToUpper(t.Name), t.Doc)
	if len(t.Fields) > 0 {
		fmt.Fprintf(w, "\nFIELDS\n")
		fields(w, "  ", t.Fields)
	}
	if t.Name == "retry" {
		fmt.Fprintf(w, "\nDEFAULTS\n")
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "  kind\ttimeout\tattempts\tdelay\tbackoff\tmaxDelay\tjitter")
		for _, k := range b.kinds {
			fmt.Fprintf(table, "  %s\t%s\n", k.Name, strings.Join(k.Policy.Values(), "\t"))
		}
		return table.Flush()
	}
	if t.Example != "" {
		_, err = fmt.Fprintf(w, "\nEXAMPLE\n%s", indent(t.Example, "  "))
	}
	return err
}

// kind writes the whole reference of a kind.
func (b *Book) kind(w io.Writer, k schemas.Kind) error {
	fmt.Fprintf(w, "%s\n\n%s\n", strings.ToUpper(k.Name), k.Doc)
	v := k.Policy.Values()
	fmt.Fprintf(w, "\nDEFAULTS\n  timeout %s, attempts %s, delay %s, backoff %s, maxDelay %s, jitter %s\n", v[0], v[1], v[2], v[3], v[4], v[5])
	fmt.Fprintf(w, "\nINPUTS\n")
	for _, f := range k.Inputs {
		if !b.connected(f) {
			fields(w, "  ", []schemas.Field{f})
			continue
		}
		of := "connections." + f.Name
		fmt.Fprintf(w, "  %s  %s\n%s\n", f.Name, typeOf(f), indent(f.Doc, "      "))
		fmt.Fprintf(w, "      Its keys are those of %s, which gives the ones that are left out:\n      ztplan explain %s, or ztplan explain %s.%s with the defaults of this kind.\n", of, of, k.Name, f.Name)
	}
	fmt.Fprintf(w, "\nOUTPUTS\n")
	fields(w, "  ", k.Outputs)
	_, err := fmt.Fprintf(w, "\nEXAMPLE\n%s", indent(k.Example, "  "))
	return err
}

// find returns the field of a list at a path; name is that of the list.
func find(name string, list []schemas.Field, path []string) (Part, error) {
	var field schemas.Field
	for _, part := range path {
		j := slices.IndexFunc(list, func(f schemas.Field) bool { return f.Name == part })
		if j < 0 {
			return Part{}, engine.WithHint(fmt.Errorf("%s has no field %q", name, part), source.Suggestion(part, names(list), "it has "))
		}
		field, list, name = list[j], list[j].Fields, name+"."+part
	}
	return Part{field, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s  %s\n\n%s\n", name, typeOf(field), indent(field.Doc, "  "))
		if len(field.Fields) > 0 {
			fmt.Fprintf(w, "\nFIELDS\n")
			fields(w, "  ", field.Fields)
		}
		return err
	}}, nil
}

// firstSentence returns the first sentence of a text, without its full stop.
func firstSentence(text string) string {
	text, _, _ = strings.Cut(strings.ReplaceAll(text, "\n", " "), ". ")
	return strings.TrimSuffix(text, ".")
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
