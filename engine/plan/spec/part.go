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

// Part returns the part of a value that a reference names: value is that of the first
// elements of its path, as many as known says.
func Part(value *yaml.Node, ref *syntax.Reference, known int) (*yaml.Node, *Fault) {
	value, depth := keypath.Descend(value, ref.Path[known:])
	if known += depth; known == len(ref.Path) {
		return value, nil
	}
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
