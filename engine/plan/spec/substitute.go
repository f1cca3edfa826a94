package spec

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// MaxNodes is how many nodes a value made of variables may have.
const MaxNodes = 1_000_000

// Substitute returns n with its references replaced, and whether a secret went into it.
// The size counts to one more than [MaxNodes] at most. n itself does not change.
func (d *Decoder) Substitute(n *yaml.Node) (value Value, ok bool) {
	d.size = 0
	value, ok = d.substitute(n)
	value.Size = d.size
	return value, ok
}

func (d *Decoder) substitute(n *yaml.Node) (v Value, ok bool) {
	d.size = min(d.size+1, MaxNodes+1)
	switch {
	case n.Kind != yaml.ScalarNode:
		out := *n
		out.Content = slices.Clone(n.Content)
		own := d.of(n).File
		v.File, ok = own, true
		for i := range out.Content {
			if n.Kind == yaml.MappingNode && i%2 == 0 {
				d.plainKey(n.Content[i])
				continue
			}
			part, good := d.substitute(n.Content[i])
			if good {
				out.Content[i] = part.Node
			}
			if good && part.File != own && (part.Node.Kind != yaml.ScalarNode || part.Node.Line > 0) {
				v.File = nil
			}
			v.Secret, ok = v.Secret || part.Secret, ok && good
		}
		v.Node = &out
		return v, ok
	case !isTemplate(n):
		return Value{Node: n, File: d.of(n).File}, true
	}
	parts, bad := syntax.ParseTemplate(n.Value)
	if bad != nil {
		d.badTemplate(n, bad)
		return v, false
	}
	if len(parts) == 1 && parts[0].Ref != nil {
		v, ok = d.resolve(n, parts[0].Ref)
		d.size = min(d.size+v.Size, MaxNodes+1)
		return v, ok
	}
	text, ok := d.text(n, parts, true)
	return Value{Node: text.node(n), Secret: text.secret, File: d.of(n).File}, ok
}

// Whole returns the reference that a scalar consists of, with its indices known; nil if it
// is something else. It reports no problem but those of the indices, after which ok is
// false.
func (d *Decoder) Whole(n *yaml.Node) (ref *syntax.Reference, ok bool) {
	parts, _ := syntax.ParseTemplate(n.Value)
	if len(parts) != 1 || parts[0].Ref == nil {
		return nil, true
	}
	return d.Indexed(n, parts[0].Ref)
}
