// Package merge fills the keys that inputs of a step leave out from another mapping: from
// a connection of the plan.
package merge

import (
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/source"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// Fill returns own with the keys that it leaves out and type t knows, taken from another
// mapping; own itself if there are none. Keys of a struct inside are filled one by one,
// too. made is called for a mapping that holds keys of the other one only.
func Fill(types *spec.Types, own, from *yaml.Node, t *spec.Struct, made func(*yaml.Node)) *yaml.Node {
	if own != nil && (own.Kind != yaml.MappingNode || from.Kind != yaml.MappingNode) {
		return own
	}
	if from.Kind != yaml.MappingNode {
		return from
	}
	var content []*yaml.Node
	if own != nil {
		content = own.Content
	}
	changed := false
	for key, val := range source.Pairs(from) {
		ft, ok := t.Field(key.Value)
		if !ok || source.IsNull(val) {
			continue
		}
		at := -1
		for j := 0; own != nil && j+1 < len(own.Content); j += 2 {
			if own.Content[j].Value == key.Value {
				at = j + 1
			}
		}
		fields := types.Fields(ft)
		switch {
		case at < 0 && fields != nil:
			if val = Fill(types, nil, val, fields, made); val == nil {
				continue
			}
			fallthrough
		case at < 0:
			content = append(slices.Clip(content), key, val)
			changed = true
		case fields != nil:
			if merged := Fill(types, own.Content[at], val, fields, made); merged != own.Content[at] {
				content = slices.Clone(content)
				content[at] = merged
				changed = true
			}
		}
	}
	if !changed {
		return own
	}
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: from.Line, Column: from.Column, Content: content}
	if own != nil {
		out.Line, out.Column = own.Line, own.Column
	} else {
		made(out)
	}
	return out
}

// Without returns from for inputs that are own: without the exclusive keys other than the
// one that own gives, and without the mappings around keys of deciding that own gives
// another value, with the value that holds without the key. Keys are paths with dots.
func Without(from, own *yaml.Node, exclusive [][]string, deciding map[string]string) *yaml.Node {
	for key, usual := range deciding {
		want, have := find(own, key), find(from, key)
		if !source.IsNull(want) && want.Value != valueOr(have, usual) {
			from = without(from, key[:strings.LastIndexByte(key, '.')])
		}
	}
	for _, keys := range exclusive {
		for _, given := range keys {
			if source.IsNull(find(own, given)) {
				continue
			}
			for _, other := range keys {
				if other != given {
					from = without(from, other)
				}
			}
		}
	}
	return from
}

func valueOr(n *yaml.Node, usual string) string {
	if source.IsNull(n) {
		return usual
	}
	return n.Value
}

// find returns the value at a path; nil if there is none.
func find(n *yaml.Node, path string) *yaml.Node {
	for key := range strings.SplitSeq(path, ".") {
		_, n = source.Lookup(n, key)
	}
	return n
}

// without returns a mapping without the key at a path; n itself does not change.
func without(n *yaml.Node, path string) *yaml.Node {
	top, rest, nested := strings.Cut(path, ".")
	key, value := source.Lookup(n, top)
	if key == nil {
		return n
	}
	out, at := *n, slices.Index(n.Content, key)
	out.Content = slices.Clone(n.Content)
	if nested {
		out.Content[at+1] = without(value, rest)
	} else {
		out.Content = slices.Delete(out.Content, at, at+2)
	}
	return &out
}

// Replace returns with and the value of a key, which is another node than before or a new
// one. at is the place of a new mapping.
func Replace(with, key, value *yaml.Node, at source.Position) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: at.Line, Column: at.Column}
	if with != nil {
		*out = *with
		out.Content = make([]*yaml.Node, 0, len(with.Content)+2)
		for k, v := range source.Pairs(with) {
			if k != key {
				out.Content = append(out.Content, k, v)
			}
		}
	}
	out.Content = append(out.Content, key, value)
	return out
}

// Unknown calls report for the keys of n, which is at path, that no one of the types has.
func Unknown(types *spec.Types, n *yaml.Node, of []*spec.Struct, path string, report func(path string, key *yaml.Node, known []string)) {
	for key, val := range source.Pairs(n) {
		var below []*spec.Struct
		known := make(map[string]bool)
		found := false
		for _, t := range of {
			for _, name := range t.Names() {
				known[name] = true
			}
			if ft, ok := t.Field(key.Value); ok {
				found = true
				if fields := types.Fields(ft); fields != nil {
					below = append(below, fields)
				}
			}
		}
		if !found {
			report(path, key, slices.Sorted(maps.Keys(known)))
		}
		if len(below) > 0 && val.Kind == yaml.MappingNode {
			Unknown(types, val, below, path+"."+key.Value, report)
		}
	}
}

// Absent returns the inputs of a step of type t with a value that is not known in place of
// those that connections would fill. own gets the values that the step gives itself.
func Absent(t *spec.Struct, connections []engine.Connection, with, value *yaml.Node, at source.Position, own func(*yaml.Node)) *yaml.Node {
	for _, c := range connections {
		if with != nil && with.Kind != yaml.MappingNode || c.New != nil || !slices.Contains(t.Names(), c.Key) {
			continue
		}
		key, n := source.Lookup(with, c.Key)
		if n != nil {
			own(n)
		} else {
			key = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: c.Key, Line: at.Line, Column: at.Column}
		}
		with = Replace(with, key, value, at)
	}
	return with
}
