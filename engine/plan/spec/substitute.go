package spec

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// MaxNodes is how many nodes a value made of variables may have.
const MaxNodes = 1_000_000

// Substitute returns n with its references replaced, and whether a secret went
// into it; then [Decoder.Size] is the number of its nodes. n itself does not change.
func (d *Decoder) Substitute(n *yaml.Node) (value *yaml.Node, secret, ok bool) {
	d.size = min(d.size+1, MaxNodes+1)
	switch {
	case n.Kind != yaml.ScalarNode:
		out := *n
		out.Content = slices.Clone(n.Content)
		ok = true
		for i := range out.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 {
				d.plainKey(n.Content[i])
				continue
			}
			v, s, good := d.Substitute(n.Content[i])
			if good {
				out.Content[i] = v
			}
			secret, ok = secret || s, ok && good
		}
		return &out, secret, ok
	case !isTemplate(n):
		return n, false, true
	}
	parts, bad := parseTemplate(n.Value)
	if bad != nil {
		d.badTemplate(n, bad)
		return nil, false, false
	}
	if len(parts) == 1 && parts[0].ref != nil {
		r, ok := d.resolve(n, parts[0].ref)
		d.size = min(d.size+r.Size, MaxNodes+1)
		return r.Node, r.Secret, ok
	}
	text, ok := d.text(n, parts, true)
	return text.node(n), text.secret, ok
}

// Size returns how many nodes Substitute has made, at most one more than [MaxNodes].
func (d *Decoder) Size() int { return d.size }
