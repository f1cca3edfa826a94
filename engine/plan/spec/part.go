package spec

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source"
)

// Descend follows a path as far as it goes and returns how far that was.
func Descend(n *yaml.Node, path []Elem) (*yaml.Node, int) {
	for i, e := range path {
		var next *yaml.Node
		if e.Index < 0 {
			_, next = source.Lookup(n, e.Name)
		} else if n.Kind == yaml.SequenceNode && e.Index < len(n.Content) {
			next = n.Content[e.Index]
		}
		if next == nil {
			return n, i
		}
		n = next
	}
	return n, len(path)
}

// Part returns the part of a value that a reference names: value is that of the first
// elements of its path, as many as known says.
func Part(value *yaml.Node, ref *Reference, known int) (*yaml.Node, *Fault) {
	value, depth := Descend(value, ref.Path[known:])
	if known += depth; known == len(ref.Path) {
		return value, nil
	}
	so, e := ref.Root+"."+PathString(ref.Path[:known]), ref.Path[known]
	switch {
	case e.Index >= 0 && value.Kind == yaml.SequenceNode:
		return nil, &Fault{Message: fmt.Sprintf("%s: %s has %d items, so no [%d]", ref.Raw, so, len(value.Content), e.Index)}
	case e.Index < 0 && value.Kind == yaml.MappingNode:
		return nil, &Fault{Message: fmt.Sprintf("%s: %s has no key %q", ref.Raw, so, e.Name), Hint: source.Suggestion(e.Name, source.Keys(value), "it has ")}
	}
	return nil, &Fault{Message: fmt.Sprintf("%s: %s is %s and has no %s", ref.Raw, so, KindOf(value), PathString([]Elem{e}))}
}
