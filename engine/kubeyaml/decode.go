package kubeyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxNodes is the most nodes of a document after its aliases are repeated.
const maxNodes = 1_000_000

// A Problem is a fault of a document.
type Problem struct {
	Node    *yaml.Node // where
	Path    string     // of the value, "spec.ports[0]"; empty for the whole
	Message string
}

// Error returns "line 3: spec.ports[0]: …".
func (p Problem) Error() string {
	at := ""
	if p.Node.Line > 0 {
		at = fmt.Sprintf("line %d: ", p.Node.Line)
	}
	if p.Path != "" {
		at += p.Path + ": "
	}
	return at + p.Message
}

// Unmarshal returns the first document of a text as plain data. The error names all its
// problems.
func Unmarshal(text []byte) (any, error) {
	var doc yaml.Node
	err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	v, problems := Decode(&doc)
	var errs []error
	for _, p := range problems {
		errs = append(errs, p)
	}
	return v, errors.Join(errs...)
}

// Decode resolves a tree and returns it as plain data: nil, bool, int, uint64,
// float64, string, []any and map[string]any. Aliases and merge keys are
// followed. The tree keeps them, so that places can be found in it.
func Decode(n *yaml.Node) (any, []Problem) {
	Resolve(n)
	d := decoder{active: make(map[*yaml.Node]bool)}
	v := d.value(n, "")
	return v, d.problems
}

type decoder struct {
	problems []Problem
	active   map[*yaml.Node]bool // anchors being followed
	nodes    int
}

func (d *decoder) bad(n *yaml.Node, path, message string) {
	d.problems = append(d.problems, Problem{n, path, message})
}

func (d *decoder) value(n *yaml.Node, path string) any {
	if d.nodes++; d.nodes > maxNodes {
		if d.nodes == maxNodes+1 {
			d.bad(n, path, fmt.Sprintf("aliases repeat more than %d values", maxNodes))
		}
		return nil
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil
		}
		return d.value(n.Content[0], path)
	case yaml.AliasNode:
		if d.active[n.Alias] {
			d.bad(n, path, fmt.Sprintf("anchor %q contains itself", n.Value))
			return nil
		}
		d.active[n.Alias] = true
		defer delete(d.active, n.Alias)
		return d.value(n.Alias, path)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = d.value(item, fmt.Sprintf("%s[%d]", path, i))
		}
		return list
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		d.mapping(n, path, m)
		return m
	}
	v, err := Scalar(n)
	if err != nil {
		d.bad(n, path, err.Error())
	}
	return v
}

func (d *decoder) mapping(n *yaml.Node, path string, into map[string]any) {
	first := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Tag == "!!merge" {
			d.merge(v, path, into)
			continue
		}
		key, err := Key(k)
		if err != nil {
			d.bad(n.Content[i], path, err.Error())
			continue
		}
		if other := first[key]; other != nil {
			d.bad(n.Content[i], path, Repeated(key, other, k))
			continue
		}
		first[key] = k
		into[key] = d.value(v, strings.TrimPrefix(path+"."+key, "."))
	}
}

// Repeated returns the message that two keys of a mapping are one, with the reason if they
// are written differently.
func Repeated(key string, first, second *yaml.Node) string {
	if first.Value == second.Value {
		return fmt.Sprintf("key %q is given twice; first in line %d", key, first.Line)
	}
	return fmt.Sprintf("keys %s and %s, in line %d, are both read as %q: write them in quotes", second.Value, first.Value, first.Line, key)
}

// merge adds the mappings that a merge key names. Of a list, earlier mappings win.
func (d *decoder) merge(n *yaml.Node, path string, into map[string]any) {
	for _, from := range MergeSources(n) {
		target := from
		if from.Kind == yaml.AliasNode {
			target = from.Alias
		}
		if target.Kind != yaml.MappingNode {
			d.bad(from, path, "only mappings can be merged")
			continue
		}
		m, _ := d.value(from, path).(map[string]any)
		for k, v := range m {
			into[k] = v
		}
	}
}

// MergeSources returns the mappings that a merge key names; later ones win.
func MergeSources(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias.Kind == yaml.SequenceNode {
		n = n.Alias
	}
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}
	}
	sources := make([]*yaml.Node, 0, len(n.Content))
	for i := len(n.Content) - 1; i >= 0; i-- {
		sources = append(sources, n.Content[i])
	}
	return sources
}
