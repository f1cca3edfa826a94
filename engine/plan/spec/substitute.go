package spec

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// MaxNodes is how many nodes a value made of variables may have.
const MaxNodes = 1_000_000

// maxText is how many bytes a text made of references may have.
const maxText = 4 << 20

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
	var text strings.Builder
	for _, p := range parts {
		if p.ref == nil {
			text.WriteString(p.text)
			continue
		}
		r, ok := d.resolve(n, p.ref)
		if !ok {
			return nil, false, false
		}
		secret = secret || r.Secret
		if len(parts) == 1 {
			d.size = min(d.size+r.Size, MaxNodes+1)
			return r.Node, secret, true
		}
		if !d.part(n, p.ref, r.Node, r.Secret) {
			return nil, false, false
		}
		text.WriteString(r.Node.Value)
		if text.Len() > maxText {
			d.problem(n, "", "the text is longer than %d bytes", maxText)
			return nil, false, false
		}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text.String(), Line: n.Line, Column: n.Column}, secret, true
}

// Size returns how many nodes Substitute has made, at most one more than [MaxNodes].
func (d *Decoder) Size() int { return d.size }
