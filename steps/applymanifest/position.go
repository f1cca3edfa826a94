package applymanifest

import (
	"strconv"

	"gopkg.in/yaml.v3"
)

// key returns the node of the last key of a path of keys and indices, or the
// nearest node above it.
func key(n *yaml.Node, path []string) *yaml.Node {
	at := n
	for _, step := range path {
		for n != nil && n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n == nil {
			return at
		}
		next := (*yaml.Node)(nil)
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if named(n.Content[i], step) {
					at, next = n.Content[i], n.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
				at, next = n.Content[i], n.Content[i]
			}
		}
		n = next
	}
	return at
}
