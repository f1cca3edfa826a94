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

// entry returns the index of the last entry of a list that has the keys of a step
// such as name="app",protocol="TCP", or -1; keys that it leaves to a default do not
// count.
func entry(list *yaml.Node, step string) int {
	found := -1
	for i, item := range list.Content {
		item = resolved(item)
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
			found = i
		}
	}
	return found
}

// key returns the node of the last key of a path of keys and indices, or the
// nearest node above it.
func key(n *yaml.Node, path []string) *yaml.Node {
	at, _ := locate(n, path)
	return at
}

// locate is key that also returns the path with indices in place of the keys of
// entries: spec.containers[1].image for spec.containers[name="app"].image.
func locate(n *yaml.Node, path []string) (at *yaml.Node, field string) {
	at = n
	for _, step := range path {
		if n = resolved(n); n == nil {
			return at, field
		}
		next := (*yaml.Node)(nil)
		switch n.Kind {
		case yaml.MappingNode:
			name, written := step, step
			if text, err := strconv.Unquote(step); err == nil {
				name, written = text, "["+step+"]"
			} else if field != "" {
				written = "." + step
			}
			for i := 0; i+1 < len(n.Content); i += 2 {
				if named(n.Content[i], name) {
					at, next = n.Content[i], n.Content[i+1]
				}
			}
			if next != nil {
				field += written
			}
		case yaml.SequenceNode:
			i, err := strconv.Atoi(step)
			if err != nil && strings.Contains(step, "=") {
				i = entry(n, step)
			}
			if i >= 0 && i < len(n.Content) && (err == nil || strings.Contains(step, "=")) {
				at, next = n.Content[i], n.Content[i]
				field += "[" + strconv.Itoa(i) + "]"
			}
		}
		n = next
	}
	return at, field
}
