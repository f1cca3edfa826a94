package applymanifest

import (
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// fieldPath splits the path of a field as the API server writes it:
// spec.ports[0].name, spec.containers[name="a.b",protocol="TCP"].image.
func fieldPath(field string) []string {
	var steps []string
	step, quoted, inside := "", false, false
	end := func() {
		if step != "" {
			steps = append(steps, step)
		}
		step = ""
	}
	for i, c := range field {
		switch {
		case c == '"' && (i == 0 || field[i-1] != '\\'):
			quoted = !quoted
			step += string(c)
		case quoted:
			step += string(c)
		case c == '.' && !inside:
			end()
		case c == '[' || c == ']':
			end()
			inside = c == '['
		default:
			step += string(c)
		}
	}
	end()
	return steps
}

// entry returns the last entry of a list that has the keys of a step such as
// name="app",protocol="TCP"; keys that it leaves to a default do not count.
func entry(list *yaml.Node, step string) *yaml.Node {
	var found *yaml.Node
	for _, item := range list.Content {
		for item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		matches, sure := true, false
		for pair := range strings.SplitSeq(step, ",") {
			name, want, _ := strings.Cut(pair, "=")
			if text, err := strconv.Unquote(want); err == nil {
				want = text
			}
			switch have := child(item, name); {
			case have == item:
			case have.Value == want:
				sure = true
			default:
				matches = false
			}
		}
		if matches && sure {
			found = item
		}
	}
	return found
}

// key returns the node of the last key of a path of keys and indices, or the
// nearest node above it.
func key(n *yaml.Node, path []string) *yaml.Node {
	at := n
	for _, step := range path {
		if n = resolved(n); n == nil {
			return at
		}
		next := (*yaml.Node)(nil)
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					at, next = n.Content[i], n.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
				at, next = n.Content[i], n.Content[i]
			} else if strings.Contains(step, "=") {
				if next = entry(n, step); next != nil {
					at = next
				}
			}
		}
		n = next
	}
	return at
}
