// Package templates holds the plans that "ztplan init" begins with.
//
// A template is a plan: a file of this folder, which is embedded. Its variables can be
// asked for and set. Each is a declaration on a line of its own, in braces:
//
//	host: {default: hello, description: "the site's name below the domain"}
//	certificate: {required: true, description: name of the cert-manager Certificate}
//	operator: {required: true, description: recipient of the key} # made: age identity
//
// The plan that is written has the values that were given as defaults there, and is the
// template otherwise. "made:" names the kind of value that is made when none is given;
// see [Template.Make].
package templates

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/document"
)

//go:embed *.yaml
var files embed.FS

// A Template is a plan to begin with.
type Template struct {
	Name        string     `json:"name"`
	Description string     `json:"description"`
	Variables   []Variable `json:"variables"`

	Text []byte `json:"-"` // the plan, in which required variables have no values
}

// A Variable is one that a template declares.
type Variable struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Default     string `json:"default,omitempty"`
	Made        string `json:"made,omitempty"` // the kind of value that is made when none is given

	line int  // in the text, from 0
	text bool // its values are text, whatever they look like
}

// Names returns the names of the templates, in the order of the alphabet.
func Names() []string {
	names, _ := fs.Glob(files, "*.yaml") // the pattern is right
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".yaml")
	}
	return names
}

// All returns the templates in the order of [Names].
func All() ([]Template, error) {
	var out []Template
	for _, name := range Names() {
		data, err := files.ReadFile(name + ".yaml")
		if err != nil {
			return nil, err
		}
		t, err := read(name, data)
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", name, err)
		}
		out = append(out, t)
	}
	return out, nil
}

func read(name string, data []byte) (Template, error) {
	var doc struct {
		Metadata document.Metadata
		Vars     yaml.Node
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return Template{}, err
	}
	t := Template{Name: name, Description: doc.Metadata.Description, Text: data}
	for i := 0; i+1 < len(doc.Vars.Content); i += 2 {
		key, val := doc.Vars.Content[i], doc.Vars.Content[i+1]
		var d struct {
			Description string
			Default     yaml.Node
		}
		if err := val.Decode(&d); err != nil {
			return Template{}, err
		}
		made, _ := strings.CutPrefix(val.LineComment, "# made: ")
		t.Variables = append(t.Variables, Variable{
			Name: key.Value, Description: d.Description, Default: d.Default.Value, Made: made,
			line: key.Line - 1, text: d.Default.Tag == "" || d.Default.Tag == "!!str",
		})
	}
	return t, nil
}

// planName is the name of the plan in a template.
var planName = regexp.MustCompile(`(?m)^  name: .*$`)

// Plan returns the template with values as the defaults of its variables. An empty name
// leaves the plan's name as it is.
func (t Template) Plan(name string, values map[string]string) ([]byte, error) {
	lines := strings.Split(string(t.Text), "\n")
	for _, v := range t.Variables {
		value, given := values[v.Name]
		if !given {
			continue
		}
		line, err := v.declaration(value)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		lines[v.line] = "  " + line
	}
	text := []byte(strings.Join(lines, "\n"))
	if name != "" {
		at := planName.FindIndex(text)
		text = bytes.Join([][]byte{text[:at[0]], []byte("  name: " + name), text[at[1]:]}, nil)
	}
	return text, nil
}

// declaration returns the line that declares the variable with a value.
func (v Variable) declaration(value string) (string, error) {
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: strings.ReplaceAll(value, "${", "$${")}
	if v.text {
		node.Style = yaml.DoubleQuotedStyle // whatever it would be without
	}
	scalar := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
	entry := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle, Content: []*yaml.Node{
		scalar("default"), node, scalar("description"), scalar(v.Description),
	}}
	out, err := yaml.Marshal(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{scalar(v.Name), entry}})
	return strings.TrimSuffix(string(out), "\n"), err
}
