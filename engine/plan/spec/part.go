package spec

import (
	"fmt"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/keypath"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// Part returns the part of a value that a reference names: the value is that of the first
// elements of its path, as many as known says. Where other items of a collection have the
// part, the fault is that of the item, and at its place.
func Part(of Value, ref *syntax.Reference, known int) (*yaml.Node, *Fault) {
	value, depth := keypath.Descend(of.Node, ref.Path[known:])
	if known+depth == len(ref.Path) {
		return value, nil
	}
	if fault := of.lacks(value, ref.Path[known:], depth); fault != nil {
		return nil, fault
	}
	known += depth
	so, e := ref.Root+"."+keypath.String(ref.Path[:known]), ref.Path[known]
	switch {
	case e.Index >= 0 && value.Kind == yaml.SequenceNode:
		return nil, &Fault{Message: fmt.Sprintf("%s: %s has %d items, so no [%d]", ref.Raw, so, len(value.Content), e.Index)}
	case e.Index < 0 && value.Kind == yaml.MappingNode && e.Quoted && !strings.Contains(ref.Raw, strconv.Quote(e.Name)):
		// The key is that of an item: one that is close is another item's.
		return nil, &Fault{Message: fmt.Sprintf("%s: %s has no key %q", ref.Raw, so, e.Name),
			Hint: "give every item such a key; it has " + source.Listed(source.Keys(value))}
	case e.Index < 0 && value.Kind == yaml.MappingNode:
		return nil, &Fault{Message: fmt.Sprintf("%s: %s has no key %q", ref.Raw, so, e.Name), Hint: source.Suggestion(e.Name, source.Keys(value), "it has ")}
	}
	return nil, &Fault{Message: fmt.Sprintf("%s: %s is %s and has no %s", ref.Raw, so, source.KindOf(value), keypath.String([]keypath.Elem{e}))}
}

// lacks returns the fault of an item that lacks a part which other items have: value is the
// innermost part that it has, at a depth of the path. It is nil if no other item has the
// part, so that the reference may be wrong, or if it is not known where the item is written.
func (v Value) lacks(value *yaml.Node, path []keypath.Elem, depth int) *Fault {
	if v.Item == nil || v.File == nil || value.Line == 0 {
		return nil
	}
	have := 0
	for _, other := range v.Item.Among {
		if _, found := keypath.Descend(other, path); found == len(path) {
			have++
		}
	}
	if have == 0 {
		return nil
	}
	in, key := v.Item.Name, keypath.String(path[depth:depth+1])
	if depth > 0 {
		in += "." + keypath.String(path[:depth])
	}
	verb := "have"
	if have == 1 {
		verb = "has"
	}
	f := &Fault{
		Message: fmt.Sprintf("item %s lacks %s, which %d of the %d items %s", in, key, have, len(v.Item.Among), verb),
		Hint:    "add it to the item, or correct the reference", At: v.File.Place(value),
	}
	if best := source.Closest(path[depth].Name, source.Keys(value)); best != "" {
		written, _ := source.Lookup(value, best)
		f.Hint, f.At = fmt.Sprintf("write %s instead of %s", path[depth].Name, best), v.File.Place(written)
	}
	return f
}
